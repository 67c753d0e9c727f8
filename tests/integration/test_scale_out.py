"""Workers come and go and a broker is lost, while a sender goes on: I1 to I4 hold, no chat pauses for long.

The large version, with eight workers and a table of the pauses, is `python -m loadtest scale-demo`.
"""

import itertools
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from deploy.local import LocalStack
from tests.integration.conftest import StartWorker, both_group_protocols
from tests.integration.ledger import LiveLedger
from tests.integration.load import repeated_events
from worker.settings.kafka import KafkaSettings
from worker.settings.worker import WorkerSettings

pytestmark = pytest.mark.services

BOUND_S = sum(
    float(KafkaSettings.model_fields[f"{name}_timeout_s"].default) for name in ("session", "transaction", "request")
)
BOUND_S += float(WorkerSettings.model_fields["shutdown_grace_s"].default)
"""What a worker with the default settings may take; those of the test are shorter, so that a busy machine passes."""
STEP_EVENTS = 40
"""Events that must end before and after each change, so that each of them happens under load."""


@pytest.fixture
def stack(cluster: LocalStack) -> LocalStack:
    """Three brokers, three copies, two in sync."""
    return cluster


@pytest.fixture
def n_partitions() -> int:
    """Return enough partitions for workers to share."""
    return 12


@contextmanager
def sending(ledger: LiveLedger, chats: list[dict[str, Any]]) -> Iterator[None]:
    """Send small groups of events, one after the other is acknowledged, until the block ends."""
    stopping = threading.Event()
    events = itertools.cycle(repeated_events(chats, 4_000, n_chats=200))

    def run() -> None:
        while not stopping.wait(0.1):
            ledger.send(itertools.islice(events, 5))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(60)


@both_group_protocols
def test_workers_scale_and_restart_and_a_broker_is_lost_while_events_keep_coming(
    *,
    stack: LocalStack,
    ledger: LiveLedger,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """1 to 4 to 2 workers, one restarted, one broker killed and back: no chat waits for longer than a worker may take.

    A dead member is missed after its session, its transaction ends after its time-out, a stopping one has its grace,
    and what a dead broker leaves unanswered is waited for as long as one request may take.
    """
    more = {"KAFKA__REQUEST_TIMEOUT_S": "5", "KAFKA__CLIENT_RACK": "zone-b"}
    workers = [start_worker(**more)]

    def under_load() -> None:
        ledger.wait_seen(len(ledger.sent) + STEP_EVENTS)

    with sending(ledger, [chat for chat in sample_chats if chat["messages"]]):
        under_load()
        before = set(ledger.sent)
        workers += [start_worker(**more) for _ in range(3)]
        for worker in workers:
            worker.wait_until_it_owns_partitions()
        under_load()
        workers.append(start_worker(**more))
        assert workers.pop(0).stop() == 0
        under_load()
        stack.kafka.stop_broker(1, kill=True)
        try:
            under_load()
        finally:
            stack.kafka.start_broker(1)
        under_load()
        for worker in workers[2:]:
            worker.send(signal.SIGTERM)
        assert [worker.wait_exit() for worker in workers[2:]] == [0, 0]
        under_load()
    ledger.wait_complete()
    assert [worker.stop() for worker in workers[:2]] == [0, 0]
    ledger.assert_exactly_once()
    # The events before are those that waited for the first worker to start.
    assert ledger.longest_pause_s(ledger.sent.keys() - before) < BOUND_S
