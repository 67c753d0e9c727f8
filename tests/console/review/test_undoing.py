"""Undo, before and after sending: the answer stays, marked, and the item is open again."""

import pytest
from sqlalchemy import select

from console.review.errors import Conflict, NotInQueue
from console.review.item import Wish
from console.review.queue import Queue
from console.store.store import Store
from console.store.tables import answers, outbox
from tests.console.review.conftest import OpenQueue
from tests.console.review.rows import NOW_MS, Clock, item_row, outbox_of, put, started
from tests.console.review.test_answering import BLOCK, answered


def test_before_it_is_sent_nothing_leaves(queue: Queue, store: Store, clock: Clock) -> None:
    """Its rows are cancelled, and the item is the reviewer's again."""
    (item_id,) = put(store, item_row(1))
    taken = answered(queue, item_id)
    clock.pass_s(3)
    claim = queue.undo(taken.answer_id, "ann")
    assert [is_cancelled for _, _, is_cancelled in outbox_of(store)] == [True, True]
    assert (claim.item.state, claim.item.claimed_by, claim.item.n_answers) == ("open", "ann", 0)
    again = queue.answer(item_id, "ann", claim.token, Wish("allow"))
    assert again.decision_id != taken.decision_id
    with store.reading() as connection:
        kept = connection.execute(select(answers.c.outcome, answers.c.undone_ms).order_by(answers.c.id)).all()
    assert [tuple(row) for row in kept] == [("block", NOW_MS + 3_000), ("allow", None)]


def test_after_it_was_sent_its_opposite_follows(queue: Queue, store: Store) -> None:
    """It names the decision that it takes back."""
    (item_id,) = put(store, item_row(1))
    taken = answered(queue, item_id)
    started(store)
    queue.undo(taken.answer_id, "ann")
    *sent, (kind, body, is_cancelled) = outbox_of(store)
    assert [cancelled for _, _, cancelled in sent] == [False, False]
    assert (kind, is_cancelled) == ("override_clear", False)
    assert body.items() >= {"chat_id": "chat-1", "undoes": taken.decision_id, "actor": "ann"}.items()


def test_of_several_policies_each_override_that_was_sent_is_followed_by_its_opposite(
    queue: Queue, store: Store
) -> None:
    """Each names what it takes back."""
    asking = [{"name": name, "version": "1", "decision": "review", "decided_by": "model"} for name in ("a", "b")]
    (item_id,) = put(store, item_row(1, policies=asking))
    taken = answered(queue, item_id)
    started(store)
    queue.undo(taken.answer_id, "ann")
    with store.reading() as connection:
        decided = select(outbox.c.decision_id).where(outbox.c.kind == "override_set").order_by(outbox.c.id)
        decision_ids = connection.execute(decided).scalars().all()
    undone = [body["undoes"] for kind, body, _ in outbox_of(store) if kind == "override_clear"]
    assert undone == decision_ids
    assert len(set(undone)) == 2


def test_only_the_own_answer_is_undone_and_only_once(queue: Queue, store: Store) -> None:
    """A second press of the key changes nothing."""
    (item_id,) = put(store, item_row(1))
    taken = answered(queue, item_id)
    with pytest.raises(NotInQueue):
        queue.undo(taken.answer_id, "bob")
    queue.undo(taken.answer_id, "ann")
    with pytest.raises(Conflict, match="undone already"):
        queue.undo(taken.answer_id, "ann")


def test_an_undone_skip_stands_where_it_stood(queue: Queue, store: Store) -> None:
    """As if it had not been."""
    first, second = put(store, item_row(2), item_row(1))
    taken = answered(queue, first, Wish("skip"))
    claim = queue.undo(taken.answer_id, "ann")
    assert claim.item.id == first
    assert [item.id for item in queue.page("ann").items] == [first, second]


def test_a_skip_is_not_undone_while_somebody_else_has_the_item(queue: Queue, store: Store) -> None:
    """The conflict names them; or who has answered it."""
    (item_id,) = put(store, item_row(1))
    taken = answered(queue, item_id, Wish("skip"))
    claim = queue.claim(item_id, "bob")
    with pytest.raises(Conflict) as refused:
        queue.undo(taken.answer_id, "ann")
    assert refused.value.claimed_by == "bob"
    queue.answer(item_id, "bob", claim.token, BLOCK)
    with pytest.raises(Conflict, match="answered meanwhile"):
        queue.undo(taken.answer_id, "ann")


def test_undoing_one_of_two_opinions_takes_back_what_both_sent(open_queue: OpenQueue, store: Store) -> None:
    """And once both agree again, all of it is sent again, nothing twice."""
    queue = open_queue(opinions=2)
    (item_id,) = put(store, item_row(1, n_wanted=2))
    first = answered(queue, item_id)
    answered(queue, item_id, reviewer="bob")
    claim = queue.undo(first.answer_id, "ann")
    assert [is_cancelled for _, _, is_cancelled in outbox_of(store)] == [True, True, True]
    queue.answer(item_id, "ann", claim.token, BLOCK)
    live = [(kind, body.get("reporter", body.get("actor"))) for kind, body, gone in outbox_of(store) if not gone]
    assert sorted(live) == [("feedback", "ann"), ("feedback", "bob"), ("override_set", "ann")]


def test_an_opinion_is_not_undone_once_an_adjudicator_has_settled_it(open_queue: OpenQueue, store: Store) -> None:
    """Their answer is final; they may undo it themselves."""
    queue = open_queue(opinions=2)
    (item_id,) = put(store, item_row(1, n_wanted=2))
    first = answered(queue, item_id)
    answered(queue, item_id, Wish("allow"), "bob")
    final = answered(queue, item_id, Wish("allow"), "cid")
    with pytest.raises(Conflict) as refused:
        queue.undo(first.answer_id, "ann")
    assert refused.value.decided_by == "cid"
    assert queue.undo(final.answer_id, "cid").item.is_disputed
