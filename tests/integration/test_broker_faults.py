"""The only broker freezes, or dies and comes back: what the worker does, and what becomes of the records."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.local import BrokerOptions, LocalStack
from tests.integration.conftest import StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.load import short_events

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """One broker of this file's own, because it is frozen and killed."""
    options = BrokerOptions(settings={"group.min.session.timeout.ms": "1000"})
    with LocalStack(broker_options=options) as running:
        yield running


def test_a_stop_that_outlasts_the_grace_time_is_cut_and_what_was_in_hand_is_read_again(
    stack: LocalStack, ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """F3: exit code 4 tells an orchestrator that the end was not in order, and nothing is lost or doubled by it."""
    worker = start_worker(SHUTDOWN_GRACE_S="2", BATCH__MAX_RECORDS="20")
    ledger.send(short_events(sample_chats, 600, n_chats=200))
    worker.wait_for("batch_done", count=2)
    stack.kafka.pause_broker(0)
    try:
        worker.send(signal.SIGTERM)
        assert worker.wait_exit() == 4
    finally:
        stack.kafka.resume_broker(0)
    (cut,) = worker.events("stop_cut")
    assert (cut["exit_code"], cut["grace_s"]) == (4, 2.0)
    start_worker()
    ledger.wait_complete()
    ledger.assert_exactly_once()


def test_the_only_broker_dies_and_comes_back_and_the_same_worker_goes_on(
    stack: LocalStack, ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """F16: nothing needs a restart, and nothing is lost or doubled.

    The worker is frozen in whatever it does, so that its last commit has reached every partition before the broker
    dies, and the transaction it may hold open outlives the absence: a broker that comes back as the only copy loses the
    end of a transaction that it has to finish while it starts (DECISIONS, 18), and no client can mend that.
    """
    worker = start_worker(
        KAFKA__TRANSACTION_TIMEOUT_S="60",
        KAFKA__REQUEST_TIMEOUT_S="5",
        KAFKA__SESSION_TIMEOUT_S="6",
        BATCH__MAX_RECORDS="20",
    )
    ledger.send(short_events(sample_chats, 1_200, n_chats=300))
    worker.wait_for("batch_done", count=4)
    worker.send(signal.SIGSTOP)
    ledger.wait_seen(sum(batch["n_records"] for batch in worker.events("batch_done")))
    stack.kafka.stop_broker(0, kill=True)
    worker.send(signal.SIGCONT)
    stack.kafka.start_broker(0)
    ledger.wait_complete()
    assert worker.exit_code is None, worker.tail()
    assert worker.stop() == 0
    ledger.assert_exactly_once()
