"""Claims are leases: taken, prolonged, given back, lost; and nothing drops out of the queue."""

import threading
from collections import Counter

import pytest
from sqlalchemy import select, update

from console.review.errors import Conflict, NotInQueue
from console.review.item import Wish
from console.review.queue import Queue
from console.store.store import Store
from console.store.tables import access_log, items
from tests.console.review.conftest import OpenQueue
from tests.console.review.rows import NOW_MS, Clock, item_row, put

BLOCK = Wish("block", reason="policy_violation")


def test_a_claimed_item_is_nobody_elses_and_the_refusal_names_its_holder(queue: Queue, store: Store) -> None:
    """Two people never work on one item."""
    (item_id,) = put(store, item_row(1))
    claim = queue.claim(item_id, "ann")
    with pytest.raises(Conflict) as refused:
        queue.claim(item_id, "bob")
    assert (refused.value.claimed_by, refused.value.until_ms) == ("ann", claim.until_ms) == ("ann", NOW_MS + 600_000)


def test_a_claimed_item_stays_in_the_list_with_its_holder(queue: Queue, store: Store) -> None:
    """A queue whose items are all claimed must not look empty."""
    (item_id,) = put(store, item_row(1))
    claim = queue.claim(item_id, "ann")
    (seen,) = queue.page("bob").items
    assert (seen.claimed_by, seen.claim_until_ms) == ("ann", claim.until_ms)


def test_claiming_again_prolongs_the_same_claim(queue: Queue, store: Store, clock: Clock) -> None:
    """A page that is reloaded goes on with its item."""
    (item_id,) = put(store, item_row(1))
    first = queue.claim(item_id, "ann")
    clock.pass_s(60)
    second = queue.claim(item_id, "ann")
    assert (second.token, second.until_ms) == (first.token, first.until_ms + 60_000)


def test_a_renewed_claim_does_not_lapse(queue: Queue, store: Store, clock: Clock) -> None:
    """As long as its page is open."""
    (item_id,) = put(store, item_row(1))
    claim = queue.claim(item_id, "ann")
    clock.pass_s(500)
    assert queue.renew(item_id, "ann", claim.token) == clock.now_ms + 600_000
    clock.pass_s(500)
    with pytest.raises(Conflict):
        queue.claim(item_id, "bob")


def test_a_lapsed_claim_is_lost_to_whoever_takes_the_item(queue: Queue, store: Store, clock: Clock) -> None:
    """And whoever lost it is told who has it, and later who answered."""
    (item_id,) = put(store, item_row(1))
    lost = queue.claim(item_id, "ann")
    clock.pass_s(601)
    taken = queue.claim(item_id, "bob")
    for act in (queue.renew, queue.release):
        with pytest.raises(Conflict) as refused:
            act(item_id, "ann", lost.token)
        assert refused.value.claimed_by == "bob"
    with pytest.raises(Conflict) as refused:
        queue.answer(item_id, "ann", lost.token, BLOCK)
    assert refused.value.claimed_by == "bob"
    queue.answer(item_id, "bob", taken.token, Wish("allow"))
    with pytest.raises(Conflict) as refused:
        queue.answer(item_id, "ann", lost.token, BLOCK)
    assert (refused.value.decided_by, refused.value.outcome) == ("bob", "allow")


def test_an_answer_after_the_lease_counts_where_nobody_took_the_item(queue: Queue, store: Store, clock: Clock) -> None:
    """Nobody's work is thrown away for a minute."""
    (item_id,) = put(store, item_row(1))
    claim = queue.claim(item_id, "ann")
    clock.pass_s(3_600)
    assert queue.answer(item_id, "ann", claim.token, BLOCK).item.state == "done"


def test_a_released_item_stands_where_it_stood(queue: Queue, store: Store) -> None:
    """Released is not skipped."""
    first, _ = put(store, item_row(2), item_row(1))
    claim = queue.claim_next("ann")
    assert claim is not None
    queue.release(first, "ann", claim.token)
    again = queue.claim_next("bob")
    assert claim.item.id == first
    assert again is not None
    assert again.item.id == first
    with pytest.raises(Conflict) as refused:
        queue.renew(first, "ann", claim.token)
    assert refused.value.claimed_by == "bob"
    queue.release(first, "bob", again.token)
    with pytest.raises(Conflict, match="nobody has the item"):
        queue.renew(first, "ann", claim.token)


def test_another_token_is_no_claim(queue: Queue, store: Store) -> None:
    """Of another page of the same person, whose claim was lost in between."""
    (item_id,) = put(store, item_row(1))
    queue.claim(item_id, "ann")
    with pytest.raises(Conflict):
        queue.answer(item_id, "ann", "0" * 32, BLOCK)


def test_what_is_not_there_is_not_claimed(queue: Queue, store: Store) -> None:
    """Nor is what was erased."""
    (erased,) = put(store, item_row(1, state="erased"))
    for item_id in (erased, 10**9):
        with pytest.raises(NotInQueue):
            queue.claim(item_id, "ann")
    assert queue.claim_next("ann") is None


def test_an_item_that_an_override_closed_names_who_decided(queue: Queue, store: Store) -> None:
    """Somebody decided on the chat from the shell."""
    (item_id,) = put(store, item_row(1, state="done", closed_why="override", closed_by="eve"))
    with pytest.raises(Conflict) as refused:
        queue.claim(item_id, "ann")
    assert refused.value.decided_by == "eve"


def test_whoever_holds_an_item_that_an_override_closes_is_told(queue: Queue, store: Store) -> None:
    """At the next renewal, or where they answer."""
    (item_id,) = put(store, item_row(1))
    claim = queue.claim(item_id, "ann")
    with store.writing() as connection:
        connection.execute(update(items).values(state="done", closed_why="override", closed_by="eve"))
    with pytest.raises(Conflict) as refused:
        queue.renew(item_id, "ann", claim.token)
    assert refused.value.decided_by == "eve"
    with pytest.raises(Conflict) as refused:
        queue.answer(item_id, "ann", claim.token, BLOCK)
    assert refused.value.decided_by == "eve"


def test_claims_are_logged_apart_from_decisions(queue: Queue, store: Store) -> None:
    """Renewals are not."""
    (item_id,) = put(store, item_row(1))
    claim = queue.claim(item_id, "ann")
    queue.renew(item_id, "ann", claim.token)
    queue.release(item_id, "ann", claim.token)
    with store.reading() as connection:
        logged = connection.execute(select(access_log.c.actor, access_log.c.action, access_log.c.item_id)).all()
    assert [tuple(row) for row in logged] == [("ann", "claim", item_id), ("ann", "release", item_id)]


@pytest.mark.parametrize("n_wanted", [1, 2])
def test_reviewers_at_once_never_hold_more_than_the_opinions_that_are_wanted(
    open_queue: OpenQueue, store: Store, n_wanted: int
) -> None:
    """Eight threads claim and answer twenty items until none is left."""
    put(store, *(item_row(n, n_wanted=n_wanted) for n in range(20)))
    queue = open_queue(opinions=n_wanted)
    held: Counter[int] = Counter()
    given: Counter[int] = Counter()
    most: Counter[int] = Counter()
    lock = threading.Lock()
    faults: list[BaseException] = []

    def work(reviewer: str) -> None:
        try:
            while (claim := queue.claim_next(reviewer)) is not None:
                with lock:
                    held[claim.item.id] += 1
                    most[claim.item.id] = max(most[claim.item.id], held[claim.item.id] + given[claim.item.id])
                answered = queue.answer(claim.item.id, reviewer, claim.token, BLOCK)
                with lock:
                    held[answered.item.id] -= 1
                    given[answered.item.id] += 1
        except BaseException as fault:  # noqa: BLE001  a thread's fault must fail the test
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(f"r{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert set(given.values()) == {n_wanted}
    assert len(given) == 20
    assert max(most.values()) <= n_wanted
