"""How members of the group meet: many at once, two under one name, one that comes back under its name."""

import itertools
from typing import Any

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from deploy.local import LocalStack
from testkit.waiting import wait_until
from testkit.worker_process import WorkerProcess
from tests.integration.conftest import Settings, StartWorker, both_group_protocols
from tests.integration.ledger import LiveLedger
from tests.integration.load import short_events

pytestmark = pytest.mark.services

N_AT_ONCE = 6


@pytest.fixture
def n_partitions() -> int:
    """Return enough partitions for workers to share."""
    return 12


def owned(worker: WorkerProcess) -> set[int]:
    """Return the partitions that a worker owns now, from what it logged of its rebalances."""
    found: set[int] = set()
    for change in worker.events("partitions_changed"):
        found = found | set(change["partitions"]) if change["kind"] == "assigned" else found - set(change["partitions"])
    return found


@both_group_protocols
def test_workers_that_start_in_the_same_instant_share_the_partitions_evenly(
    ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """A Deployment starts all its pods at once; none is fenced, none idles, nothing is judged twice meanwhile."""
    ledger.send(short_events(sample_chats, 600, n_chats=300))
    workers = [start_worker(BATCH__MAX_RECORDS="20") for _ in range(N_AT_ONCE)]
    wait_until(
        lambda: [len(owned(worker)) for worker in workers] == [12 // N_AT_ONCE] * N_AT_ONCE,
        timeout_s=90,
        what=lambda: str([sorted(owned(worker)) for worker in workers]),
    )
    assert set().union(*(owned(worker) for worker in workers)) == set(range(12))
    ledger.send(short_events(sample_chats, 300, n_chats=300))
    ledger.wait_complete()
    assert [worker.stop() for worker in workers] == [0] * N_AT_ONCE
    ledger.assert_exactly_once()


@both_group_protocols
def test_of_two_workers_with_one_instance_id_one_ends_and_says_why(
    ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]], group_protocol: str
) -> None:
    """The classic protocol lets the newer one in, KIP-848 the older one stay; neither may stay on as a ghost."""
    older = start_worker(KAFKA__GROUP_INSTANCE_ID="pod-0")
    older.wait_until_it_owns_partitions()
    ledger.send(short_events(sample_chats, 100, n_chats=50))
    older.wait_for("batch_done")
    newer = start_worker(KAFKA__GROUP_INSTANCE_ID="pod-0")
    loser, winner = (older, newer) if group_protocol == "classic" else (newer, older)
    assert loser.wait_exit() == 3
    assert "another worker runs with the same group instance id" in loser.events("worker_fatal")[0]["error"]
    ledger.send(short_events(sample_chats, 100, n_chats=50))
    ledger.wait_complete()
    assert winner.exit_code is None
    ledger.assert_exactly_once()


@both_group_protocols
def test_a_static_member_that_comes_back_in_time_moves_no_partition(
    stack: LocalStack,
    ledger: LiveLedger,
    settings: Settings,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """What a StatefulSet buys: a rolling restart without a rebalance at the neighbours."""
    _lengthen_sessions(stack, settings["MODERATION_KAFKA__GROUP_ID"])
    names = {"KAFKA__SESSION_TIMEOUT_S": "40"}
    neighbour = start_worker(KAFKA__GROUP_INSTANCE_ID="pod-0", **names)
    restarted = start_worker(KAFKA__GROUP_INSTANCE_ID="pod-1", **names)
    wait_until(
        lambda: len(owned(neighbour)) == len(owned(restarted)) == 6,
        timeout_s=90,
        what=lambda: f"{owned(neighbour)} {owned(restarted)}",
    )
    before = owned(restarted)
    n_changes = len(neighbour.events("partitions_changed"))
    assert restarted.stop() == 0
    ledger.send(short_events(sample_chats, 200, n_chats=100))
    again = start_worker(KAFKA__GROUP_INSTANCE_ID="pod-1", **names)
    ledger.wait_complete()
    assert owned(again) == before
    moved = [change for change in neighbour.events("partitions_changed")[n_changes:] if change["partitions"]]
    assert moved == []
    ledger.assert_exactly_once()


def test_a_change_of_the_group_protocol_and_back_loses_and_repeats_nothing(
    ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """All workers of one protocol stop before the first of the other starts: the offsets are the group's, and stay."""
    events = short_events(sample_chats, 600, n_chats=300)
    for protocol in ("classic", "consumer", "classic"):
        running = [start_worker(KAFKA__GROUP_PROTOCOL=protocol) for _ in range(2)]
        ledger.send(itertools.islice(events, 200))
        for worker in running:
            worker.wait_until_it_owns_partitions()
        assert [worker.stop() for worker in running] == [0, 0]
    last = start_worker(KAFKA__GROUP_PROTOCOL="consumer")
    last.wait_until_it_owns_partitions()
    ledger.wait_complete()
    assert last.stop() == 0
    ledger.assert_exactly_once()


def _lengthen_sessions(stack: LocalStack, group_id: str) -> None:
    """Give one group a session that outlasts a restart; with KIP-848 that is a setting of the group on the brokers."""
    entry = ConfigEntry("consumer.session.timeout.ms", "40000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.GROUP, group_id, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(20)
