"""What stands beside an item, own answers, and exposure: on both databases."""

import pytest
from sqlalchemy import insert

from console.review.beside import appeal_of, earlier_of, was_skipped
from console.review.errors import Conflict
from console.review.item import Item, Wish
from console.review.own_work import PAUSE_MS, answer_times, exposure_of, n_answered, recent_answers
from console.review.queue import Queue
from console.store.store import Store
from console.store.tables import access_log, appeals
from tests.console.review.conftest import OpenQueue
from tests.console.review.rows import NOW_MS, Clock, item_row, put


def _answer(queue: Queue, item_id: int, reviewer: str, outcome: str) -> int:
    claim = queue.claim(item_id, reviewer)
    return queue.answer(item_id, reviewer, claim.token, Wish(outcome, reason="other")).answer_id


def test_earlier_items_of_the_chat_and_of_the_text_come_with_their_answers(queue: Queue, store: Store) -> None:
    """Newest first; what was taken back says so; the item itself is not among them."""
    one, two, three = put(
        store,
        item_row(3, chat_id="chat", fingerprint="x"),
        item_row(2, chat_id="other", fingerprint="y"),
        item_row(1, chat_id="chat", fingerprint="y"),
    )
    _answer(queue, one, "ann", "allow")
    queue.undo(_answer(queue, two, "bob", "block"), "bob")
    with store.reading() as connection:
        found = earlier_of(connection, queue.item(three, "cid"))
    assert found is not None
    assert [row["item_id"] for row in found["same_chat"]] == [one]
    assert [(said["reviewer"], said["outcome"]) for said in found["same_chat"][0]["answers"]] == [("ann", "allow")]
    assert [row["item_id"] for row in found["same_text"]] == [two]
    assert [said["undone"] for said in found["same_text"][0]["answers"]] == [True]


@pytest.mark.parametrize("columns", [{"n_wanted": 2}, {"kind": "sample"}, {"kind": "gold"}])
def test_nothing_earlier_stands_beside_what_is_to_be_answered_independently(
    queue: Queue, store: Store, columns: dict[str, object]
) -> None:
    """Nor does such an item stand beside others."""
    hidden, plain = put(store, item_row(2, chat_id="chat", **columns), item_row(1, chat_id="chat"))
    with store.reading() as connection:
        assert earlier_of(connection, queue.item(hidden, "ann")) is None
        assert earlier_of(connection, queue.item(plain, "ann")) == {"same_chat": [], "same_text": []}


def test_an_appeal_says_what_was_decided_and_not_by_whom(queue: Queue, store: Store) -> None:
    """What is no appeal has none."""
    (first,) = put(store, item_row(1))
    _answer(queue, first, "ann", "block")
    (second,) = put(store, item_row(1, kind="appeal", appealed_id=first))
    row = {"id": "a" * 32, "item_id": second, "verdict_id": "v", "caller": "shop", "reason": "wrong", "note": None}
    with store.writing() as connection:
        connection.execute(insert(appeals).values(**row, created_ms=NOW_MS))
    item: Item = queue.item(second, "bob")
    with store.reading() as connection:
        found = appeal_of(connection, item)
        assert appeal_of(connection, queue.item(first, "bob")) is None
    original = {"outcome": "block", "reason": "other", "at_ms": NOW_MS}
    assert found == {"reason": "wrong", "note": None, "original": original}


def test_own_answers_are_listed_and_counted(queue: Queue, store: Store, clock: Clock) -> None:
    """A gold item is called a sample; a skip is listed and not counted."""
    one, two, three = put(store, item_row(3), item_row(2, kind="gold", meant_for="ann"), item_row(1))
    _answer(queue, one, "ann", "block")
    clock.pass_s(5)
    _answer(queue, two, "ann", "allow")
    queue.answer(three, "ann", queue.claim(three, "ann").token, Wish("skip"))
    with store.reading() as connection:
        found = recent_answers(connection, "ann", 10)
        assert [(row["kind"], row["outcome"]) for row in found] == [
            ("review", "skip"),
            ("sample", "allow"),
            ("review", "block"),
        ]
        assert n_answered(connection, "ann", NOW_MS) == 2
        assert answer_times(connection, "ann", NOW_MS, 10) == [NOW_MS, NOW_MS + 5_000]
        assert was_skipped(connection, queue.item(three, "ann"), "ann")
        assert not was_skipped(connection, queue.item(three, "bob"), "bob")
        assert recent_answers(connection, "bob", 10) == []


def test_a_pause_begins_the_count_of_what_was_seen_anew(store: Store) -> None:
    """What is severe of a blind item is not counted: a count would tell."""
    plain, blind = put(store, item_row(1, category="M"), item_row(2, kind="sample", category="M"))
    seen = [(plain, 0), (plain, 1), (plain, 2 * PAUSE_MS), (blind, 2 * PAUSE_MS + 5)]
    with store.writing() as connection:
        for item_id, at_ms in seen:
            row = {"actor": "ann", "action": "reveal", "item_id": item_id, "detail": {}, "at_ms": at_ms}
            connection.execute(insert(access_log).values(row))
    with store.reading() as connection:
        found = exposure_of(connection, "ann", {"M"}, 10 * PAUSE_MS)
    assert (found.n_seen, found.n_severe, found.n_severe_since) == (4, 3, 1)
    assert (found.since_ms, found.last_ms) == (2 * PAUSE_MS, 2 * PAUSE_MS + 5)


def test_an_answer_under_a_known_name_is_taken_once(open_queue: OpenQueue, store: Store) -> None:
    """Sent again, also after the claim is gone; nobody else may take the name."""
    queue = open_queue()
    (one,) = put(store, item_row(1))
    token, wish, name = queue.claim(one, "ann").token, Wish("block", reason="other"), "0" * 32
    first = queue.answer(one, "ann", token, wish, decision_id=name)
    second = queue.answer(one, "ann", token, wish, decision_id=name)
    assert (first.answer_id, first.decision_id, first.sends_at_ms) == (
        second.answer_id,
        second.decision_id,
        second.sends_at_ms,
    )
    with store.reading() as connection:
        assert n_answered(connection, "ann", 0) == 1
    with pytest.raises(Conflict, match="another answer"):
        queue.answer(one, "bob", token, wish, decision_id=name)


def test_the_next_item_may_be_of_one_kind_or_one_in_dispute(open_queue: OpenQueue, store: Store) -> None:
    """As a page of the queue may."""
    queue = open_queue(opinions=2)
    plain, appeal, disputed = put(
        store, item_row(9), item_row(2, kind="appeal"), item_row(1, n_wanted=2, verdict_id="d")
    )
    _answer(queue, disputed, "ann", "allow")
    _answer(queue, disputed, "bob", "block")
    for kind, expected in ((None, plain), ("appeal", appeal), ("adjudication", disputed)):
        claim = queue.claim_next("cid", order="age", kind=kind)
        assert claim is not None
        assert claim.item.id == expected
        queue.release(claim.item.id, "cid", claim.token)
    assert queue.claim_next("cid", kind="sample") is None
