"""Three brokers, three copies, two in sync: one of them dies at once and comes back, and the worker just goes on.

Each broker is in a rack of its own, so that a worker with a rack reads from one of them only.
"""

from collections import Counter
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from deploy.local import LocalStack
from deploy.local.ports import free_ports
from testkit.topics import Topics
from testkit.waiting import wait_until
from tests.integration.conftest import StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.load import short_events
from tests.integration.probes import samples, status_of

pytestmark = pytest.mark.services


@pytest.fixture
def stack(cluster: LocalStack) -> LocalStack:
    """Three brokers, three copies, two in sync."""
    return cluster


def test_any_one_of_three_brokers_is_killed_under_load_and_comes_back(
    stack: LocalStack, ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
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
    assert worker.exit_code is None, worker.tail()
    assert worker.stop() == 0
    ledger.assert_exactly_once()


def brokers_read_from(port: int) -> dict[str, int]:
    """Return how many partitions a worker reads from each broker, as it says itself."""
    found = samples(port, "moderation_fetch_partitions")
    return {dict(labels)["broker"]: round(n) for labels, n in found.items() if n}


def leaders(stack: LocalStack, topic: str) -> dict[str, int]:
    """Return how many partitions of a topic each broker leads."""
    known = AdminClient({"bootstrap.servers": stack.bootstrap_servers}).list_topics(topic, timeout=20).topics[topic]
    return dict(Counter(str(partition.leader) for partition in known.partitions.values()))


def test_a_worker_reads_from_the_copy_in_its_own_rack_and_from_the_leaders_where_that_is_gone(
    *,
    stack: LocalStack,
    ledger: LiveLedger,
    topics: Topics,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """KIP-392: traffic between zones costs money; a lost zone must cost neither records nor their order."""
    port = free_ports(1)[0]
    worker = start_worker(KAFKA__CLIENT_RACK="zone-b", HTTP__PORT=str(port))
    events = list(short_events(sample_chats, 600, n_chats=100))
    ledger.send(events[:200])
    ledger.wait_complete()
    assert len(leaders(stack, topics.events)) > 1, "expected leaders on several brokers"
    wait_until(lambda: brokers_read_from(port) == {"1": 4}, timeout_s=30, what=lambda: str(brokers_read_from(port)))
    stack.kafka.stop_broker(1, kill=True)
    try:
        ledger.send(events[200:400])
        ledger.wait_complete()
        wait_until(lambda: "1" not in brokers_read_from(port), timeout_s=60, what=lambda: str(brokers_read_from(port)))
    finally:
        stack.kafka.start_broker(1)
    ledger.send(events[400:])
    ledger.wait_complete()
    assert worker.stop() == 0
    ledger.assert_exactly_once()


def test_a_worker_in_a_rack_without_a_broker_reads_from_the_leaders(
    *,
    stack: LocalStack,
    ledger: LiveLedger,
    topics: Topics,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """A misspelt zone must cost no more than what a worker without a rack costs."""
    port = free_ports(1)[0]
    worker = start_worker(KAFKA__CLIENT_RACK="nowhere", HTTP__PORT=str(port))
    wait_until(lambda: status_of(port, "/readyz") == 200, timeout_s=60, what=worker.tail)
    ledger.send(short_events(sample_chats, 100, n_chats=50))
    ledger.wait_complete()
    expected = leaders(stack, topics.events)
    wait_until(lambda: brokers_read_from(port) == expected, timeout_s=30, what=lambda: str(brokers_read_from(port)))
    ledger.assert_exactly_once()
