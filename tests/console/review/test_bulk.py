"""Bulk actions: on a filter, after a preview, capped, one answer an item, reversible as a whole."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from console.review.errors import Conflict, NotInQueue, WishRefused
from console.review.item import BulkFilter, Item, Wish
from console.review.queue import Queue
from console.store.store import Store
from console.store.tables import answers
from schemas import Role, Turn
from tests.console.review.conftest import OpenQueue
from tests.console.review.rows import item_row, outbox_of, put, sample_row
from tests.console.review.test_answering import BLOCK

SAME = BulkFilter(category="M")
TEXT = "f" * 32


def test_every_matching_item_gets_an_answer_of_its_own(queue: Queue, store: Store) -> None:
    """With its own rows of the outbox; other kinds and categories are left alone."""
    ids = put(store, *(item_row(n) for n in range(5)))
    put(store, item_row(7, category="A"), sample_row(8))
    assert queue.preview(SAME, "ann").n_matching == 5
    done = queue.bulk(SAME, "ann", BLOCK, 100, 5, "b1")
    assert (done.n_matching, len(done.answer_ids)) == (5, 5)
    with store.reading() as connection:
        rows = connection.execute(select(answers.c.item_id, answers.c.batch, answers.c.reason)).all()
    assert [tuple(row) for row in rows] == [(item_id, "b1", "policy_violation") for item_id in ids]
    assert len(outbox_of(store)) == 10
    assert queue.page("ann").total == 2


def test_the_preview_shows_items_spread_over_all(queue: Queue, store: Store) -> None:
    """Not the first few, which may be alike."""
    ids = put(store, *(item_row(n) for n in range(9)))
    shown = queue.preview(SAME, "ann", n_sample=3).sample
    assert [item.id for item in shown] == [ids[0], ids[4], ids[8]]


def test_a_filter_is_of_a_text_a_category_and_a_policy(queue: Queue, store: Store) -> None:
    """All that it names must fit; one that names neither text nor category would be everything."""
    put(store, item_row(1, fingerprint=TEXT), item_row(2, fingerprint=TEXT, queue="sports"), item_row(3))
    assert queue.preview(BulkFilter(fingerprint=TEXT), "ann").n_matching == 2
    assert queue.preview(BulkFilter(fingerprint=TEXT, policy="sports"), "ann").n_matching == 1
    with pytest.raises(WishRefused):
        queue.preview(BulkFilter(policy="sports"), "ann")


def test_near_identical_texts_are_one_filter_and_the_least_near_are_shown_first(queue: Queue, store: Store) -> None:
    """The same rules: count, cap, one answer an item, one undo for all."""
    said = "dear friend, i have found a pill that makes every exam easy, order it today at my shop, {}"
    ends = ("now", "now", "now, or you miss it", "and clean your cast iron pan with something else", "now, ok")
    ids = put(store, *(item_row(n) for n in range(6)))
    for item_id, end in zip(ids, ends, strict=False):  # nobody has read the last one
        queue.remember_text(*_text(queue, item_id, said.format(end)))
    wanted = BulkFilter(near=ids[0])
    queue.claim(ids[0], "ann")
    preview = queue.preview(wanted, "ann")
    assert [item.id for item in preview.sample] == [ids[2], ids[4], ids[1]]
    assert preview.alike[ids[1]] == 1
    assert 0.8 <= preview.alike[ids[2]] < preview.alike[ids[4]]
    assert [(one.n, [item.id for item in one.newest]) for one in [queue.uncompared(wanted, "ann", most=9)]] == [
        (1, [ids[5]])
    ]
    assert len(queue.bulk(wanted, "ann", BLOCK, 2, 3, "b1").answer_ids) == 2
    assert queue.undo_batch("b1", "ann").n_undone == 2
    assert queue.preview(BulkFilter(category="A", near=ids[0]), "ann").n_matching == 0


def test_a_text_that_was_not_read_or_is_not_the_reviewers_is_no_filter(queue: Queue, store: Store) -> None:
    """Else a filter would tell what a blind item or another queue's says."""
    unread, blind, sports = put(store, item_row(1), sample_row(2), item_row(3, queue="sports"))
    for item_id in (blind, sports):
        queue.remember_text(*_text(queue, item_id, "some text that is long enough"))
    for item_id in (unread, blind, sports, 999):
        with pytest.raises(WishRefused, match="near"):
            queue.preview(BulkFilter(near=item_id), "ann", queues=frozenset({"default"}))
    assert queue.preview(BulkFilter(near=sports), "ann").n_matching == 1


def _text(queue: Queue, item_id: int, text: str) -> tuple[Item, list[Turn], str]:
    item = queue.item(item_id, "ann")
    return item, [Turn(Role.USER, text)], item.fingerprint or ""


def test_another_number_than_the_preview_said_answers_nothing(queue: Queue, store: Store) -> None:
    """An item came, or somebody has claimed one."""
    first, *_ = put(store, *(item_row(n) for n in range(3)))
    queue.claim(first, "bob")
    with pytest.raises(Conflict) as refused:
        queue.bulk(SAME, "ann", BLOCK, 100, 3, "b1")
    assert refused.value.n_matching == 2
    assert outbox_of(store) == []


def test_no_more_than_the_cap_are_answered(queue: Queue, store: Store) -> None:
    """And what is left can be counted."""
    put(store, *(item_row(n) for n in range(5)))
    done = queue.bulk(SAME, "ann", BLOCK, 2, 5, "b1")
    assert (done.n_matching, len(done.answer_ids), queue.page("ann").total) == (5, 2, 3)


def test_of_two_people_at_once_one_answers_and_the_other_is_told(queue: Queue, store: Store) -> None:
    """Each item has one answer; nobody's batch is half done."""
    put(store, *(item_row(n) for n in range(30)))
    together = threading.Barrier(2)

    def work(reviewer: str) -> int | None:
        together.wait()
        try:
            return len(queue.bulk(SAME, reviewer, BLOCK, 100, 30, reviewer).answer_ids)
        except Conflict as conflict:
            return conflict.n_matching

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(work, ("ann", "bob")), key=str) == [0, 30]
    with store.reading() as connection:
        assert len(connection.execute(select(answers.c.item_id).distinct()).all()) == 30
        assert len(connection.execute(select(answers.c.id)).all()) == 30


def test_the_same_batch_is_not_done_twice(queue: Queue, store: Store) -> None:
    """Its answer may have been lost on the way; under somebody else's name it is refused."""
    put(store, *(item_row(n) for n in range(4)))
    first = queue.bulk(SAME, "ann", BLOCK, 2, 4, "b1")
    again = queue.bulk(SAME, "ann", BLOCK, 2, 4, "b1")
    assert (again.answer_ids, queue.page("ann").total) == (first.answer_ids, 2)
    with pytest.raises(Conflict):
        queue.bulk(SAME, "bob", BLOCK, 2, 2, "b1")


@pytest.mark.parametrize(
    ("wish", "cap", "batch"),
    [(Wish("skip"), 1, "b"), (Wish("block"), 1, "b"), (BLOCK, 0, "b"), (BLOCK, 501, "b"), (BLOCK, 1, "b" * 33)],
)
def test_what_breaks_a_rule_answers_nothing(queue: Queue, store: Store, wish: Wish, cap: int, batch: str) -> None:
    """The rules of single answers hold for many."""
    put(store, item_row(1))
    with pytest.raises(WishRefused):
        queue.bulk(SAME, "ann", wish, cap, 1, batch)
    assert queue.page("ann").total == 1


def test_a_whole_batch_is_undone(queue: Queue, store: Store) -> None:
    """Its items are open and nobody's; what was undone by hand before is not counted."""
    put(store, *(item_row(n) for n in range(3)))
    done = queue.bulk(SAME, "ann", BLOCK, 100, 3, "b1")
    queue.undo(done.answer_ids[0], "ann")
    with pytest.raises(NotInQueue):
        queue.undo_batch("b1", "bob")
    undone = queue.undo_batch("b1", "ann")
    assert (undone.n_undone, undone.n_left) == (2, 1)
    assert {gone for _, _, gone in outbox_of(store)} == {True}
    assert [item.claimed_by for item in queue.page("bob").items].count(None) == 2


def test_of_two_wanted_opinions_a_batch_gives_one(open_queue: OpenQueue, store: Store) -> None:
    """The second person decides on their own."""
    put(store, *(item_row(n, n_wanted=2) for n in range(2)))
    queue = open_queue(opinions=2)
    queue.bulk(SAME, "ann", BLOCK, 10, 2, "b1")
    assert outbox_of(store) == []
    assert queue.preview(SAME, "ann").n_matching == 0
    assert queue.preview(SAME, "bob").n_matching == 2
