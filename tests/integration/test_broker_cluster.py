"""Three brokers, three copies, two in sync: one of them dies at once and comes back, and the worker just goes on."""

from collections.abc import Iterator
from typing import Any

import pytest

from deploy.local import BrokerOptions, LocalStack
from tests.integration.conftest import StartWorker
from tests.integration.ledger import Ledger
from tests.integration.load import short_events

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """Three brokers of this file's own."""
    options = BrokerOptions(heap="256m", settings={"group.min.session.timeout.ms": "1000"})
    with LocalStack(n_brokers=3, broker_options=options) as running:
        yield running


def test_any_one_of_three_brokers_is_killed_under_load_and_comes_back(
    stack: LocalStack, ledger: Ledger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """F8 and F9: leaders and both coordinators move, mid-transaction as it happens; the same worker process goes on."""
    worker = start_worker(KAFKA__REQUEST_TIMEOUT_S="5", BATCH__MAX_RECORDS="20")
    events = list(short_events(sample_chats, 1_800, n_chats=300))
    for broker in range(stack.kafka.n_brokers):
        ledger.send(events[broker * 600 : (broker + 1) * 600])
        ledger.wait_seen(len(ledger.sent) - 500)
        stack.kafka.stop_broker(broker, kill=True)
        try:
            ledger.wait_seen(len(ledger.sent) - 400)
        finally:
            stack.kafka.start_broker(broker)
    ledger.wait_complete()
    assert worker.process.poll() is None, worker.tail()
    assert worker.stop() == 0
    ledger.assert_exactly_once()
