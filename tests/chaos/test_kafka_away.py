"""Kafka, or the part of it that a commit needs, is away for long: the worker waits, says so, and goes on by itself."""

from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from deploy.local.ports import free_ports
from deploy.local.proxied_stack import ProxiedStack
from testkit.fault_proxy import KafkaApi
from testkit.link_faults import LinkFaults
from testkit.topics import Topics
from testkit.waiting import wait_until
from testkit.worker_process import WorkerProcess
from tests.chaos.conditions import is_live, is_ready, moments, rss_mb, total
from tests.chaos.conftest import StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.load import short_events
from tests.integration.probes import samples
from tests.integration.test_lost_heartbeats import coordinator_of
from tests.integration.test_scale_out import sending

SILENT = LinkFaults(is_silent=True)

GROUP_AWAY_S = 60.0
REPLICAS_AWAY_S = 45.0
"""Longer than the 30 s after which a worker that commits nothing says that it is not ready."""
GROWTH_MB = 60.0
"""A prefetch queue, a batch and a producer's queue: what an outage may add, however long it lasts."""


@pytest.fixture
def proxied(three_brokers: ProxiedStack) -> Iterator[ProxiedStack]:
    """Three brokers, three copies, two in sync; all of them run again afterwards."""
    yield three_brokers
    three_brokers.heal()
    for broker, process in enumerate(three_brokers.stack.kafka.processes):
        if not process.is_running():
            three_brokers.stack.kafka.start_broker(broker)


def need_copies(topics: Topics, name: str, n_copies: int) -> None:
    """Let a topic take writes only while so many copies are in sync."""
    resource = ConfigResource(ResourceType.TOPIC, name)
    resource.add_incremental_config(
        ConfigEntry("min.insync.replicas", str(n_copies), incremental_operation=AlterConfigOpType.SET)
    )
    admin = AdminClient({"bootstrap.servers": topics.bootstrap_servers})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(20)


def wait_until_a_commit_failed(worker: WorkerProcess) -> None:
    """Wait until the worker has given up one commit; the batch may not be aborted before a new producer is there."""
    wait_until(
        lambda: worker.events("producer_replaced") or worker.events("batch_aborted"), timeout_s=60, what=worker.tail
    )


def test_nothing_is_visible_while_the_group_coordinator_is_out_of_reach_for_a_minute(
    *,
    proxied: ProxiedStack,
    ledger: LiveLedger,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """F10: without its offsets no transaction ends, so nothing of it may be seen; then the same worker goes on."""
    (port,) = free_ports(1)
    worker = start_worker(HTTP__PORT=str(port), KAFKA__REQUEST_TIMEOUT_S="5", KAFKA__SESSION_TIMEOUT_S="10")
    worker.wait_until_it_owns_partitions()
    with sending(ledger, [chat for chat in sample_chats if chat["messages"]]):
        ledger.wait_seen(100)
        line = proxied.brokers[coordinator_of(proxied.stack, ledger.topics.group_id)]
        line.faults = SILENT
        # What was on its way has ended by then.
        wait_until_a_commit_failed(worker)
        visible = ledger.n_seen
        for _ in moments(GROUP_AWAY_S):
            assert ledger.n_seen == visible, f"{ledger.n_seen - visible} outcomes without the group coordinator"
            assert is_live(port)
        assert not is_ready(port)
        line.heal()
        ledger.wait_seen(len(ledger.sent) + 50, timeout_s=120)
    ledger.wait_complete()
    assert worker.stop() == 0
    ledger.assert_exactly_once()
    print(f"F10: {visible} outcomes before, 0 during {GROUP_AWAY_S:.0f} s, {len(ledger.sent)} events once after")


def test_a_verdict_topic_without_enough_copies_holds_the_input_up_and_drops_nothing(
    *,
    proxied: ProxiedStack,
    ledger: LiveLedger,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """F14: every write is refused (NOT_ENOUGH_REPLICAS); the lag grows, the memory does not, readiness says no."""
    (port,) = free_ports(1)
    worker = start_worker(HTTP__PORT=str(port))
    events = list(short_events(sample_chats, 2_100, n_chats=300))
    ledger.send(events[:100])
    ledger.wait_complete()
    need_copies(ledger.topics, ledger.topics.verdicts, 3)
    proxied.stack.kafka.stop_broker(1, kill=True)
    ledger.send(events[100:1_100])
    wait_until_a_commit_failed(worker)
    visible, before_mb, most_mb = ledger.n_seen, rss_mb(worker), 0.0
    ledger.send(events[1_100:])
    for _ in moments(REPLICAS_AWAY_S):
        assert ledger.n_seen == visible
        assert is_live(port)
        most_mb = max(most_mb, rss_mb(worker))
    lag_s = max(samples(port, "moderation_lag_seconds").values())
    lag, ready = total(port, "moderation_lag_records"), is_ready(port)
    print(f"F14: lag {lag:.0f} records, {lag_s:.0f} s, RSS {before_mb:.0f} to {most_mb:.0f} MB at most, ready: {ready}")
    assert lag_s > REPLICAS_AWAY_S
    # At least those that came during the outage: by them an autoscaler and an alert learn of it.
    assert lag >= 1_000
    assert most_mb < before_mb + GROWTH_MB
    assert not ready
    proxied.stack.kafka.start_broker(1)
    ledger.wait_complete(timeout_s=180)
    wait_until(lambda: is_ready(port), timeout_s=30, what=worker.tail)
    assert worker.stop() == 0
    ledger.assert_exactly_once()
    print(f"F14: {len(worker.log_path.read_bytes().splitlines())} log lines, {len(ledger.sent)} events once")


def test_a_transaction_coordinator_that_dies_with_a_commit_on_its_way_is_followed_by_another(
    *,
    proxied: ProxiedStack,
    ledger: LiveLedger,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """F9: the commit is on the line when the coordinator dies; its successor ends the transaction, one way or other."""
    worker = start_worker(KAFKA__REQUEST_TIMEOUT_S="10", KAFKA__TRANSACTION_TIMEOUT_S="20")
    events = list(short_events(sample_chats, 300, n_chats=100))
    ledger.send(events[:100])
    ledger.wait_complete()
    holds = [broker.hold(KafkaApi.END_TXN, "request") for broker in proxied.brokers]
    ledger.send(events[100:200])
    coordinator = wait_until(
        lambda: [i for i, hold in enumerate(holds) if hold.n_held], timeout_s=60, what=lambda: "no commit was held"
    )[0]
    proxied.stack.kafka.stop_broker(coordinator, kill=True)
    for hold in holds:
        hold.drop()
    ledger.send(events[200:])
    ledger.wait_complete()
    assert worker.exit_code is None, worker.tail()
    assert worker.stop() == 0
    ledger.assert_exactly_once()
    print(f"F9: coordinator {coordinator} died, {len(worker.events('batch_aborted'))} aborted, {len(ledger.sent)} once")


def test_a_leader_that_falls_silent_is_left_for_its_successor(
    *,
    proxied: ProxiedStack,
    ledger: LiveLedger,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """F18: half-open connections: the broker is dead and no packet says so; the time-out of the socket bounds it."""
    worker = start_worker(KAFKA__REQUEST_TIMEOUT_S="10", KAFKA__SESSION_TIMEOUT_S="10")
    events = list(short_events(sample_chats, 600, n_chats=200))
    ledger.send(events[:200])
    ledger.wait_complete()
    proxied.brokers[2].faults = SILENT
    proxied.stack.kafka.stop_broker(2, kill=True)
    ledger.send(events[200:400])
    # Without the broker: its partitions and coordinators have others now.
    ledger.wait_complete(timeout_s=150)
    pause_s = ledger.longest_pause_s(ledger.sent)
    proxied.brokers[2].heal()
    proxied.stack.kafka.start_broker(2)
    ledger.send(events[400:])
    ledger.wait_complete()
    assert worker.exit_code is None, worker.tail()
    assert worker.stop() == 0
    ledger.assert_exactly_once()
    print(f"F18: the longest wait for a verdict was {pause_s:.1f} s, {len(ledger.sent)} events once")
