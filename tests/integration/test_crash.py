"""Killed, frozen and joining workers: every input record ends exactly once, in order per chat (I1 to I4)."""

import random
import signal
from typing import Any

import pytest

from testkit.records import Place
from testkit.waiting import wait_until
from tests.integration.conftest import StartWorker, both_group_protocols
from tests.integration.ledger import LiveLedger
from tests.integration.load import repeated_events, short_events

pytestmark = pytest.mark.services

N_KILLS = {"classic": 20, "consumer": 10}
"""Per group protocol: what is random does not depend on it, and each kill costs seconds."""


@pytest.fixture
def n_partitions() -> int:
    """Return enough partitions for workers to share."""
    return 12


@both_group_protocols
def test_5000_events_end_exactly_once_while_workers_are_killed_and_join(
    ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """The promise of the service: a crash in the middle of a batch neither loses nor repeats a verdict."""
    doomed, survivor = start_worker(), start_worker()
    doomed.wait_joined()
    survivor.wait_joined()
    ledger.send(short_events(sample_chats, 5_000, n_chats=800))
    ledger.wait_seen(500)
    doomed.kill()
    late = start_worker()
    ledger.wait_complete(timeout_s=240)
    ledger.assert_exactly_once()
    assert survivor.events("batch_done")
    assert late.events("batch_done")
    # What the killed worker had produced and not committed may lie in the topics, for those who read uncommitted.
    committed = {record[:3] for record in ledger.read()}
    assert committed <= {record[:3] for record in ledger.read_uncommitted()}


@both_group_protocols
def test_workers_killed_at_random_points_lose_and_repeat_nothing(
    ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]], group_protocol: str
) -> None:
    """F1 and F2: between produce and commit, between cache write and commit; small batches make many commits."""
    chance = random.Random(20_26)  # noqa: S311  chooses moments, no secret
    chats = [chat for chat in sample_chats if chat["messages"]]
    ledger.send(repeated_events(chats, 8_000, n_chats=40))
    n_expected = 0
    for _ in range(N_KILLS[group_protocol] // 2):
        # The same ids as before: a new process fences what its predecessor left open.
        pair = [
            start_worker(KAFKA__TRANSACTIONAL_ID=f"{ledger.topics.events}-{slot}", BATCH__MAX_RECORDS="40")
            for slot in range(2)
        ]
        for victim in pair:
            n_expected = min(len(ledger.seen) + chance.randrange(1, 120), len(ledger.sent))
            ledger.wait_seen(n_expected)
            victim.kill()
    start_worker()
    ledger.wait_complete()
    ledger.assert_exactly_once()


@both_group_protocols
def test_a_frozen_worker_that_wakes_up_repeats_nothing(
    ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """F4: the group has given its partitions away; what the zombie still holds must be fenced."""
    zombie, heir = start_worker(BATCH__MAX_RECORDS="40"), start_worker(BATCH__MAX_RECORDS="40")
    zombie.wait_joined()
    heir.wait_joined()
    ledger.send(short_events(sample_chats, 1_200, n_chats=200))
    zombie.wait_for("batch_done")
    zombie.send(signal.SIGSTOP)
    wait_until(
        lambda: any(event["n_assigned"] == 12 for event in heir.events("partitions_changed")[-1:]),
        timeout_s=30,
        what=heir.tail,
    )
    zombie.send(signal.SIGCONT)
    ledger.send(short_events(sample_chats, 300, n_chats=200))
    ledger.wait_complete()
    ledger.assert_exactly_once()


def test_a_second_worker_with_the_same_transactional_id_ends_the_first(
    ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """F13: two pods with one id are a deployment error; the older must stop, not fight."""
    name = f"{ledger.topics.events}-shared"
    older = start_worker(KAFKA__TRANSACTIONAL_ID=name)
    ledger.send(short_events(sample_chats, 50, n_chats=50))
    older.wait_for("batch_done")
    start_worker(KAFKA__TRANSACTIONAL_ID=name).wait_for("worker_started")
    ledger.send(short_events(sample_chats, 300, n_chats=50))
    assert older.wait_exit() == 3
    assert "another worker runs with the same transactional id" in older.events("worker_fatal")[0]["error"]
    ledger.wait_complete()
    ledger.assert_exactly_once()


@both_group_protocols
def test_workers_that_come_and_go_under_load_lose_and_repeat_nothing(
    ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """F5 and F7: members join while transactions are open and leave in order; what they had in hand ends once."""
    workers = [start_worker(BATCH__MAX_RECORDS="40") for _ in range(2)]
    # Or the first to own them all may leave nothing for the other.
    for worker in workers:
        worker.wait_until_it_owns_partitions()
    ledger.send(short_events(sample_chats, 1_500, n_chats=300))
    workers[0].wait_for("batch_done")
    guest = start_worker(BATCH__MAX_RECORDS="40")
    guest.wait_until_it_owns_partitions()
    # Whatever the others have left of the first events, the guest gets a share of these.
    ledger.send(short_events(sample_chats, 1_000, n_chats=300))
    guest.wait_for("batch_done")
    assert guest.stop() == 0
    # Nothing may be left by now, and the next one must stop under load too.
    ledger.send(short_events(sample_chats, 1_000, n_chats=300))
    ledger.wait_seen(len(ledger.sent) - 800)
    assert workers[0].stop() == 0
    ledger.wait_complete()
    ledger.assert_exactly_once()


@both_group_protocols
def test_at_least_once_delivery_loses_nothing_when_a_worker_is_killed(
    ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """Verdicts may come twice in this mode, but never under two ids, so that a reader can drop repeats."""
    doomed = start_worker(KAFKA__DELIVERY="at_least_once", BATCH__MAX_RECORDS="40")
    ledger.send(short_events(sample_chats, 800, n_chats=100))
    doomed.wait_for("batch_done", count=3)
    doomed.kill()
    start_worker(KAFKA__DELIVERY="at_least_once")
    ledger.wait_complete()
    ledger.assert_nothing_lost()
    ids: dict[Place, set[str]] = {}
    for place, verdict in ledger.all_verdicts():
        ids.setdefault(place, set()).add(verdict.verdict_id)
    assert all(len(found) == 1 for found in ids.values())
