"""Answers: what one does to its item, and when an item is settled.

With one opinion wanted the first answer settles an item. With more it is settled where all that are wanted agree on
outcome and, as far as they name one, category. Where they do not, the item is in dispute: an adjudicator's answer is
final. Nothing is sent before an item is settled.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from console.review.claiming import check_claim, drop_claim, locked
from console.review.errors import Conflict
from console.review.hooks import Hooks, Settled
from console.review.item import Answered, Item, ItemState, Outcome, Wish
from console.review.rows import OPINION, Queues
from console.review.sending import send_settled
from console.review.wish import AnswerRules, check_actor
from console.store.tables import answers, items, outbox


@dataclass(frozen=True)
class Answering:
    """What answers are taken by."""

    rules: AnswerRules
    undo_ms: int
    """Nothing is sent for so long."""
    hooks: Hooks


def answer(
    connection: Connection,
    item_id: int,
    reviewer: str,
    token: str,
    wish: Wish,
    *,
    by: Answering,
    now: int,
    decision_id: str | None = None,
    queues: Queues = None,
) -> Answered:
    """Take a reviewer's answer on an item that they hold.

    Args:
        connection: Of `Store.writing`.
        item_id: The item.
        reviewer: Who answers.
        token: Of their claim.
        wish: The answer.
        by: What it is taken by.
        now: Milliseconds since 1970.
        decision_id: The caller's name of the answer, 32 hex digits: sent again, it is taken once.
        queues: That are the reviewer's.

    Raises:
        NotInQueue: there is no such item.
        Conflict: the lease was lost, or the name is another answer's.
        WishRefused: the answer breaks a rule.
    """
    check_actor(reviewer)
    item = locked(connection, item_id, reviewer, queues)
    if decision_id is not None and (known := _known(connection, item, reviewer, decision_id)) is not None:
        return known
    claim = check_claim(connection, item, reviewer, token, now)
    wish = by.rules.check(wish, item)
    drop_claim(connection, item_id, reviewer)
    return take(
        connection,
        item,
        reviewer,
        wish,
        by=by,
        now=now,
        took_ms=max(0, now - claim["since_ms"]),
        decision_id=decision_id,
    )


def take(
    connection: Connection,
    item: Item,
    reviewer: str,
    wish: Wish,
    *,
    by: Answering,
    now: int,
    took_ms: int | None = None,
    batch: str | None = None,
    decision_id: str | None = None,
) -> Answered:
    """Write an answer that was checked, and settle its item where it does so."""
    decision_id = decision_id or uuid.uuid4().hex
    is_opinion = wish.outcome != Outcome.SKIP
    is_final = is_opinion and item.is_disputed
    values: dict[str, Any] = {
        "item_id": item.id,
        "reviewer": reviewer,
        "decision_id": decision_id,
        "outcome": wish.outcome,
        "category": wish.category,
        "reason": wish.reason,
        "note": wish.note,
        "at_ms": now,
        "took_ms": took_ms,
        "is_blind": item.is_blind and not is_final,
        "is_final": is_final,
        "batch": batch,
        "policy": wish.policy if is_opinion else None,
        "whole_chat": wish.whole_chat if is_opinion else None,
    }
    (answer_id,) = connection.execute(insert(answers).values(values)).inserted_primary_key or (0,)
    if not is_opinion:
        return Answered(answer_id, decision_id, item, None)
    is_sent = False
    n_answers = item.n_answers + (0 if is_final else 1)
    item = replace(item, n_answers=n_answers, claimed_by=None, claim_until_ms=None)
    said = opinions(connection, item.id)
    own = next(row for row in said if row["id"] == answer_id)
    if is_final or (n_answers >= item.n_wanted and agree(said)):
        item = replace(item, state=ItemState.DONE.value, closed_ms=now)
        agreeing = [own] if is_final else said
        is_sent = send_settled(connection, item, own, agreeing, now + by.undo_ms)
        settled = Settled(item, wish.outcome, wish.category, wish.reason, reviewer, decision_id, now, now + by.undo_ms)
        by.hooks.on_settled(connection, settled)
    changed = {"n_answers": item.n_answers, "state": item.state, "closed_ms": item.closed_ms}
    connection.execute(update(items).where(items.c.id == item.id).values(changed))
    return Answered(answer_id, decision_id, item, now + by.undo_ms if is_sent else None)


def _known(connection: Connection, item: Item, reviewer: str, decision_id: str) -> Answered | None:
    row = connection.execute(select(answers).where(answers.c.decision_id == decision_id)).mappings().first()
    if row is None:
        if connection.execute(select(outbox.c.id).where(outbox.c.decision_id == decision_id)).first() is not None:
            raise Conflict("decision_id is another decision's; choose a new one")
        return None
    if row["reviewer"] != reviewer or row["item_id"] != item.id:
        raise Conflict("decision_id is another answer's; choose a new one")
    sends_at = select(func.min(outbox.c.not_before_ms)).where(outbox.c.decision_id == decision_id)
    return Answered(row["id"], decision_id, item, connection.execute(sends_at).scalar())


def opinions(connection: Connection, item_id: int) -> Sequence[RowMapping]:
    """Return the answers on an item that count, in order."""
    wanted = select(answers).where(answers.c.item_id == item_id, OPINION).order_by(answers.c.id)
    return connection.execute(wanted).mappings().all()


def agree(said: Sequence[RowMapping]) -> bool:
    """Say whether answers agree: one outcome, and no two categories."""
    categories = {row["category"] for row in said} - {None}
    return len({row["outcome"] for row in said}) == 1 and len(categories) <= 1
