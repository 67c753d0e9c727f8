"""Answers: what they must hold, what they send, and that both stand in one transaction."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, select

from console.review.errors import Conflict, WishRefused
from console.review.hooks import Hooks, Settled
from console.review.item import BulkFilter, Item, Wish
from console.review.queue import Queue
from console.store.outbox_rows import Kind, OverrideClearBody, OverrideSetBody
from console.store.outbox_rows import put as put_out
from console.store.store import Store
from console.store.tables import answers, items, outbox
from tests.console.review.conftest import OpenQueue
from tests.console.review.rows import NOW_MS, Clock, item_row, outbox_of, put, sample_row

BLOCK = Wish("block", reason="policy_violation")


def answered(queue: Queue, item_id: int, wish: Wish = BLOCK, reviewer: str = "ann") -> Any:
    """Claim an item and answer it."""
    return queue.answer(item_id, reviewer, queue.claim(item_id, reviewer).token, wish)


def test_a_block_sends_an_override_and_a_report_after_the_time_to_undo(queue: Queue, store: Store) -> None:
    """In the form of the outbox, under the answer's decision id."""
    (item_id,) = put(store, item_row(1))
    taken = answered(queue, item_id, replace(BLOCK, category="B", note="seen"))
    assert (taken.item.state, taken.sends_at_ms) == ("done", NOW_MS + 10_000)
    (override_kind, override, _), (feedback_kind, feedback, _) = outbox_of(store)
    assert (override_kind, feedback_kind) == ("override_set", "feedback")
    assert override["source"] == {
        "topic": "chat-events", "partition": 0, "offset": 1, "timestamp_ms": NOW_MS - 3_600_000,
    }  # fmt: skip
    expected = {
        "decision": "block",
        "policy": "default",
        "actor": "ann",
        "reason": "policy_violation",
        "chat_id": "chat-1",
    }
    assert override.items() >= {**expected, "decided_ms": NOW_MS, "whole_chat": False}.items()
    said = {"category": "B", "decision": "block", "reporter": "ann", "note": "seen", "reported_ms": NOW_MS}
    assert feedback.items() >= said.items()
    with store.reading() as connection:
        rows = connection.execute(select(outbox.c.decision_id, outbox.c.not_before_ms, outbox.c.chat_hash)).all()
    assert {tuple(row) for row in rows} == {(taken.decision_id, NOW_MS + 10_000, f"{1:064x}")}


def test_a_report_names_a_category_only_where_its_reviewer_did(queue: Queue, store: Store) -> None:
    """Whoever allows a chat has not said that the model's category is right."""
    (item_id,) = put(store, item_row(1))
    answered(queue, item_id, Wish("allow"))
    assert outbox_of(store)[1][1]["category"] is None


def test_a_policy_and_the_whole_chat_are_what_was_asked_for(queue: Queue, store: Store) -> None:
    """An allow for one advertiser, whatever the chat says."""
    (item_id,) = put(store, item_row(1))
    answered(queue, item_id, Wish("allow", policy="sports", whole_chat=True))
    assert outbox_of(store)[0][1].items() >= {"policy": "sports", "whole_chat": True, "reason": "reviewed"}.items()


def test_an_answer_counts_for_the_policies_that_ask_and_for_no_other(queue: Queue, store: Store) -> None:
    """What a brand's policy bans must not be blocked, nor what it allows be let through, for everybody else."""
    asking = [{"name": name, "version": "1", "decision": "review", "decided_by": "model"} for name in ("a", "b", "c")]
    one, several = put(store, item_row(1, policies=asking[:1]), item_row(2, policies=asking))
    for item_id in (one, several):
        answered(queue, item_id)
    sent = [(body["chat_id"], body["policy"]) for kind, body, _ in outbox_of(store) if kind == "override_set"]
    assert sent == [("chat-1", "a"), ("chat-2", "a"), ("chat-2", "b"), ("chat-2", "c")]
    reports = [body["chat_id"] for kind, body, _ in outbox_of(store) if kind == "feedback"]
    assert reports == ["chat-1", "chat-2"]


def test_a_skip_sends_nothing_and_puts_the_item_behind_for_this_reviewer(queue: Queue, store: Store) -> None:
    """For everybody else it stands where it stood."""
    first, second = put(store, item_row(2), item_row(1))
    taken = answered(queue, first, Wish("skip"))
    assert (taken.sends_at_ms, taken.item.state, outbox_of(store)) == (None, "open", [])
    assert [item.id for item in queue.page("ann").items] == [second, first]
    assert [item.was_skipped for item in queue.page("ann").items] == [False, True]
    assert [item.id for item in queue.page("bob").items] == [first, second]
    again = queue.claim_next("ann")
    assert again is not None
    assert again.item.id == second
    last = queue.claim_next("ann")
    assert last is not None
    assert last.item.id == first


@pytest.mark.parametrize(
    ("wish", "param"),
    [
        (Wish("block"), "reason"),
        (Wish("block", reason="bored"), "reason"),
        (Wish("ban"), "outcome"),
        (Wish("allow", category="Z"), "category"),
        (Wish("allow", note="x" * 1_001), "note"),
        (Wish("allow", policy="a b"), "policy"),
    ],
)
def test_an_answer_that_breaks_a_rule_changes_nothing(queue: Queue, store: Store, wish: Wish, param: str) -> None:
    """The rules hold here, whatever a page lets through; the claim stays."""
    (item_id,) = put(store, item_row(1))
    claim = queue.claim(item_id, "ann")
    with pytest.raises(WishRefused) as refused:
        queue.answer(item_id, "ann", claim.token, wish)
    assert refused.value.param == param
    assert outbox_of(store) == []
    queue.answer(item_id, "ann", claim.token, BLOCK)


def test_another_category_needs_a_reason_where_the_settings_say_so(open_queue: OpenQueue, store: Store) -> None:
    """The model's own does not."""
    queue = open_queue(reason_needed="category")
    first, second = put(store, item_row(2), item_row(1))
    with pytest.raises(WishRefused):
        answered(queue, first, Wish("allow", category="A"))
    answered(queue, second, Wish("allow", category="M"))


def test_a_queue_may_have_a_rule_of_its_own_for_reasons(open_queue: OpenQueue, store: Store) -> None:
    """In place of the general one, and for many at once as for one."""
    queue = open_queue(reason_needed="block,strict:allow,strict:category,appeals:none")
    general, strict, also_strict, appeal = put(
        store,
        item_row(4),
        item_row(3, queue="strict"),
        item_row(2, queue="strict"),
        item_row(1, queue="appeals", kind="appeal"),
    )
    for item_id, wish in ((general, Wish("block")), (strict, Wish("allow")), (strict, Wish("block", category="A"))):
        with pytest.raises(WishRefused, match="reason_needed"):
            answered(queue, item_id, wish)
    with pytest.raises(WishRefused, match="queue strict"):
        queue.bulk(BulkFilter(category="M", policy="strict"), "bob", Wish("allow"), 1, 1, "b")
    answered(queue, general, Wish("allow"))
    answered(queue, strict, Wish("block"))
    answered(queue, also_strict, Wish("allow", reason="other"))
    answered(queue, appeal, Wish("block"))


def test_a_name_that_no_decision_can_hold_is_refused(queue: Queue, store: Store) -> None:
    """It would stop the outbox later."""
    (item_id,) = put(store, item_row(1))
    claim = queue.claim(item_id, "Ann Lee")
    with pytest.raises(WishRefused, match="opaque id"):
        queue.answer(item_id, "Ann Lee", claim.token, BLOCK)


def test_a_sample_is_reported_only_where_a_person_says_otherwise(queue: Queue, store: Store) -> None:
    """And never overridden."""
    agreed, other_decision, other_category = put(store, *(sample_row(n) for n in range(3)))
    answered(queue, agreed, Wish("allow"))
    assert outbox_of(store) == []
    answered(queue, other_decision, BLOCK)
    answered(queue, other_category, Wish("allow", category="A"))
    assert [kind for kind, _, _ in outbox_of(store)] == ["feedback", "feedback"]


def test_what_fails_in_the_transaction_undoes_the_answer(open_queue: OpenQueue, store: Store) -> None:
    """A console that dies between answer and outbox leaves neither."""

    def fail(_connection: Connection, _settled: Settled) -> None:
        raise RuntimeError

    (item_id,) = put(store, item_row(1))
    queue = open_queue(hooks=Hooks(on_settled=fail))
    claim = queue.claim(item_id, "ann")
    with pytest.raises(RuntimeError):
        queue.answer(item_id, "ann", claim.token, BLOCK)
    with store.reading() as connection:
        assert connection.execute(select(answers)).first() is None
        assert connection.execute(select(items.c.state)).scalar_one() == "open"
    assert outbox_of(store) == []


def test_what_follows_an_answer_is_told_of_it_and_of_its_undoing(open_queue: OpenQueue, store: Store) -> None:
    """An appeal tells its caller."""
    told: list[Any] = []

    def reopened(_connection: Connection, item: Item) -> None:
        told.append(item.id)

    hooks = Hooks(on_settled=lambda _connection, settled: told.append(settled.outcome), on_reopened=reopened)
    queue = open_queue(hooks=hooks)
    (item_id,) = put(store, item_row(1, kind="appeal"))
    queue.undo(answered(queue, item_id).answer_id, "ann")
    assert told == ["block", item_id]


def test_an_appeal_is_decided_by_another_person(queue: Queue, store: Store) -> None:
    """Than the one whose decision it is about."""
    (item_id,) = put(store, item_row(1))
    answered(queue, item_id)
    (appeal,) = put(store, item_row(1, kind="appeal", appealed_id=item_id))
    assert queue.page("ann").items == []
    assert queue.claim_next("ann") is None
    assert [item.id for item in queue.page("bob").items] == [appeal]


def test_a_judged_text_is_remembered(queue: Queue, store: Store, clock: Clock) -> None:
    """A new review of the same text shows the newest answer on it; a blind item never does."""
    first, second = put(store, item_row(3, fingerprint="f" * 32), item_row(2, fingerprint="f" * 32))
    answered(queue, first, Wish("allow", category="A"))
    clock.pass_s(5)
    answered(queue, second, BLOCK, "bob")
    put(store, item_row(1, fingerprint="f" * 32), sample_row(0, fingerprint="f" * 32))
    review, sample = queue.page("ann").items
    assert review.earlier is not None
    assert (review.earlier.outcome, review.earlier.reviewer) == ("block", "bob")
    assert sample.earlier is None
    claim = queue.claim(review.id, "ann")
    assert claim.item.earlier == review.earlier


def test_an_undone_answer_is_not_remembered(queue: Queue, store: Store) -> None:
    """Nor one on an item that is open."""
    first, _ = put(store, item_row(3, fingerprint="f" * 32), item_row(2, fingerprint="f" * 32))
    queue.undo(answered(queue, first).answer_id, "ann")
    assert [item.earlier for item in queue.page("bob").items] == [None, None]


def test_a_decision_id_that_another_decision_bears_is_a_conflict(queue: Queue, store: Store) -> None:
    """The page Chat makes up such ids, too; the item stays its holder's."""
    (item_id,) = put(store, item_row(1))
    body = OverrideClearBody(chat_id="chat-9", policy="*", actor="ann", reason="other")
    with store.writing() as connection:
        put_out(connection, Kind.OVERRIDE_CLEAR, "c" * 32, body, chat_id="chat-9", chat_hash=None, not_before_ms=1)
        put_out(connection, Kind.OVERRIDE_SET, "c" * 32, set_body(), chat_id="chat-9", chat_hash=None, not_before_ms=1)
    token = queue.claim(item_id, "ann").token
    with pytest.raises(Conflict):
        queue.answer(item_id, "ann", token, BLOCK, decision_id="c" * 32)
    assert queue.answer(item_id, "ann", token, BLOCK, decision_id="d" * 32).item.state == "done"


def set_body() -> OverrideSetBody:
    """Return an override as the page Chat puts it."""
    source = {"topic": "chat-events", "partition": 0, "offset": 1, "timestamp_ms": 1}
    return OverrideSetBody.model_validate(
        {
            "verdict_id": "0" * 32,
            "chat_id": "chat-9",
            "fingerprint": "0" * 32,
            "source": source,
            "decision": "block",
            "policy": "*",
            "actor": "ann",
            "reason": "other",
            "decided_ms": 1,
        }
    )
