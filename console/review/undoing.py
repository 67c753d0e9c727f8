"""Undo: an answer stays, marked as undone, and its item is open again. What was sent is followed by its opposite."""

import uuid
from dataclasses import replace

from sqlalchemy import Connection, RowMapping, delete, select, update

from console.review.answering import opinions
from console.review.claiming import decided_by, locked, make_claim, make_place
from console.review.errors import Conflict, NotInQueue
from console.review.hooks import Hooks
from console.review.item import Claim, Item, ItemState, Outcome
from console.review.rows import Queues, with_claims
from console.review.sending import take_back
from console.review.wish import check_actor
from console.store.tables import answers, claims, items


def undo(
    connection: Connection,
    answer_id: int,
    reviewer: str,
    *,
    hooks: Hooks,
    now: int,
    lease_ms: int,
    queues: Queues = None,
) -> Claim:
    """Undo the reviewer's own answer; the item is open again and theirs.

    Args:
        connection: Of `Store.writing`.
        answer_id: The answer.
        reviewer: Who gave it.
        hooks: Told where an item is open again.
        now: Milliseconds since 1970.
        lease_ms: How long the item is theirs.
        queues: That are the reviewer's.

    Raises:
        NotInQueue: there is no such answer of theirs, or its item was erased.
        Conflict: it is undone, an adjudicator has settled the item, or somebody else holds it.
    """
    item = reopen(connection, answer_id, reviewer, hooks=hooks, now=now, queues=queues)
    # A claim of theirs that stands, of an item that they skipped and took again, goes on under a new token.
    connection.execute(delete(claims).where(claims.c.item_id == item.id, claims.c.reviewer == reviewer))
    token = make_claim(connection, item.id, reviewer, now=now, until_ms=now + lease_ms)
    (claimed,) = with_claims(connection, [item], reviewer, now, queues)
    return Claim(claimed, token, now + lease_ms)


def reopen(
    connection: Connection, answer_id: int, reviewer: str, *, hooks: Hooks, now: int, queues: Queues = None
) -> Item:
    """Undo an answer without claiming its item; raises as `undo` does."""
    check_actor(reviewer)
    item_id = connection.execute(
        select(answers.c.item_id).where(answers.c.id == answer_id, answers.c.reviewer == reviewer)
    ).scalar()
    if item_id is None:
        raise NotInQueue
    item = locked(connection, item_id, reviewer, queues)
    # Read behind the lock: two undos of one answer come one after the other.
    row = connection.execute(select(answers).where(answers.c.id == answer_id)).mappings().one()
    if row["undone_ms"] is not None:
        raise Conflict("the answer is undone already", decided_by=reviewer, outcome=row["outcome"])
    if row["outcome"] == Outcome.SKIP:
        if item.state == ItemState.DONE:
            raise Conflict("the item that was skipped is answered meanwhile; take the next one")
        make_place(connection, item, reviewer, now)
    else:
        item = _reopened(connection, item, row, reviewer, hooks=hooks, now=now)
    connection.execute(update(answers).where(answers.c.id == answer_id).values(undone_ms=now))
    return item


def _reopened(connection: Connection, item: Item, row: RowMapping, reviewer: str, *, hooks: Hooks, now: int) -> Item:
    said = opinions(connection, item.id)
    final = next((one for one in said if one["is_final"]), None)
    if final is not None and not row["is_final"]:
        raise decided_by(final)
    n_answers = item.n_answers - (0 if row["is_final"] else 1)
    reopened = replace(item, state=ItemState.OPEN.value, closed_ms=None, n_answers=n_answers)
    make_place(connection, reopened, reviewer, now)
    if item.state == ItemState.DONE:
        take_back(
            connection, item, [one["decision_id"] for one in said], actor=reviewer, new_id=uuid.uuid4().hex, now=now
        )
        hooks.on_reopened(connection, reopened)
    changed = {"state": reopened.state, "closed_ms": None, "n_answers": n_answers}
    connection.execute(update(items).where(items.c.id == item.id).values(changed))
    return reopened


def answers_of_batch(connection: Connection, batch: str, reviewer: str) -> list[tuple[int, bool]]:
    """Return the answers of a reviewer's batch in the order of their items, and whether each is undone."""
    columns = (answers.c.id, answers.c.undone_ms)
    wanted = select(*columns).where(answers.c.batch == batch, answers.c.reviewer == reviewer)
    return [(row[0], row[1] is not None) for row in connection.execute(wanted.order_by(answers.c.item_id))]
