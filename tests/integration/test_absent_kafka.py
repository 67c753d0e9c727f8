"""What probes say while Kafka is away or was never there; and that a worker goes on by itself.

The clocks are shortened by settings; the ten minutes themselves belong to the slow suite.
"""

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.local import BrokerOptions, LocalStack
from deploy.local.ports import LOOPBACK, free_ports
from testkit.waiting import wait_until
from testkit.worker_process import WorkerProcess
from tests.brokers import QUICK_SESSIONS
from tests.integration.conftest import StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.load import short_events
from tests.integration.probes import samples, status_of

pytestmark = pytest.mark.services

STALLED_AFTER_S = 12.0
"""As short as the shortest time-out of the model lets it be, and longer than one step of a transaction."""


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """One broker of this file's own, because it is stopped."""
    with LocalStack(broker_options=BrokerOptions(settings=QUICK_SESSIONS)) as running:
        yield running


@pytest.fixture
def port() -> int:
    """Return a free port for the worker's health endpoints."""
    return free_ports(1)[0]


def test_a_start_without_kafka_can_be_seen_while_it_waits_and_for_a_scrape_after_it_has_failed(
    start_worker: StartWorker, port: int
) -> None:
    """The port opens before anything is connected; SIGTERM ends the wait for the scrape."""
    address = f"{LOOPBACK}:{free_ports(1)[0]}"
    worker = start_worker(
        KAFKA__BOOTSTRAP_SERVERS=address,
        KAFKA__REQUEST_TIMEOUT_S="5",
        HTTP__PORT=str(port),
        HTTP__EXIT_LINGER_S="600",
    )
    wait_until(lambda: address in _readiness(worker, port), timeout_s=60, what=worker.tail)
    assert _readiness(worker, port).startswith("starting: connecting to Kafka")
    assert status_of(port, "/livez") == 200
    fatal = worker.wait_for("worker_fatal")
    wait_until(lambda: _readiness(worker, port) == fatal["error"], timeout_s=10, what=worker.tail)
    assert status_of(port, "/livez") == 200
    assert samples(port, "moderation_kafka_up") == {(): 0}
    worker.send(signal.SIGTERM)
    assert worker.wait_exit(timeout_s=10) == 3


def _readiness(worker: WorkerProcess, port: int) -> str:
    """Return what /readyz says while it says no; empty where it says yes or nothing listens."""
    try:
        status, body = worker.get(port, "/readyz")
    except OSError:
        return ""
    return body.decode().strip() if status == 503 else ""


def test_kafka_may_be_away_for_longer_than_a_stall_and_the_same_worker_goes_on(
    stack: LocalStack, ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]], port: int
) -> None:
    """F16: liveness failed after 120 s, and a pod was restarted again and again while its brokers were away."""
    worker = start_worker(
        HTTP__PORT=str(port),
        HTTP__STALLED_AFTER_S=str(STALLED_AFTER_S),
        MODEL__TIMEOUT_S="1.2",
        KAFKA__REQUEST_TIMEOUT_S="2",
        KAFKA__TRANSACTION_TIMEOUT_S="60",
        BATCH__MAX_RECORDS="20",
    )
    ledger.send(short_events(sample_chats, 800, n_chats=200))
    worker.wait_for("batch_done", count=4)
    # As in `test_broker_faults`: the last commit has reached every partition before the only copy goes.
    worker.send(signal.SIGSTOP)
    ledger.wait_seen(sum(batch["n_records"] for batch in worker.events("batch_done")))
    stack.kafka.stop_broker(0)
    worker.send(signal.SIGCONT)
    seen: set[tuple[int, int]] = set()
    until = time.monotonic() + 2.5 * STALLED_AFTER_S
    while time.monotonic() < until:
        seen.add((status_of(port, "/livez"), status_of(port, "/readyz")))
    stack.kafka.start_broker(0)
    ledger.wait_complete()
    wait_until(lambda: status_of(port, "/readyz") == 200, timeout_s=60, what=worker.tail)
    assert worker.exit_code is None
    assert {live for live, _ in seen} == {200}
    assert (200, 503) in seen
    assert worker.stop() == 0
    ledger.assert_exactly_once()
