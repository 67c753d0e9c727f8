"""An answer of the group coordinator that comes too late: what it gave and what it took must not be forgotten."""

import time
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from deploy.local import LocalStack
from tests.integration.conftest import StartWorker, both_group_protocols
from tests.integration.ledger import LiveLedger
from tests.integration.load import short_events

pytestmark = pytest.mark.services

HELD_S = 3.0
"""Longer than a member waits for one answer (1 s here), shorter than the brokers take to give a frozen one up (4 s)."""


@pytest.fixture
def stack(cluster: LocalStack) -> LocalStack:
    """Three brokers, three copies, two in sync."""
    return cluster


def coordinator_of(stack: LocalStack, group_id: str) -> int:
    """Return the broker that coordinates a group."""
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    return int(admin.describe_consumer_groups([group_id])[group_id].result(20).coordinator.id)


@both_group_protocols
def test_partitions_change_hands_though_the_answer_that_took_them_was_lost(
    *, stack: LocalStack, ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """The coordinator notes what the first member must give up, and waits for a frozen broker before it says so."""
    events = list(short_events(sample_chats, 400, n_chats=200))
    first = start_worker()
    first.wait_until_it_owns_partitions()
    ledger.send(events[:200])
    ledger.wait_complete()
    frozen = (coordinator_of(stack, first.environment["MODERATION_KAFKA__GROUP_ID"]) + 1) % stack.kafka.n_brokers
    second = start_worker()
    second.wait_for("worker_started")
    stack.kafka.pause_broker(frozen)
    time.sleep(HELD_S)
    stack.kafka.resume_broker(frozen)
    second.wait_until_it_owns_partitions()
    ledger.send(events[200:])
    ledger.wait_complete()
    assert [worker.stop() for worker in (first, second)] == [0, 0]
    ledger.assert_exactly_once()
