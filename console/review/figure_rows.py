"""Read what figures are of: items and their answers of a time."""

from typing import Any

from sqlalchemy import Connection, and_, or_, select

from console.review.figures import Drawn, JudgedItem, Said
from console.review.item import ItemKind, ItemState
from console.review.rows import OPINION, Queues, in_queues
from console.store.tables import answers, items


def judged_items(connection: Connection, *, since_ms: int, until_ms: int, queues: Queues = None) -> list[JudgedItem]:
    """Return the items that were answered within a time, and the samples that were drawn within it.

    Args:
        connection: Any.
        since_ms: From then on.
        until_ms: Up to then.
        queues: Of these alone; None: of all.
    """
    answered = (
        select(answers.c.item_id).where(answers.c.at_ms >= since_ms, answers.c.at_ms < until_ms, OPINION).distinct()
    )
    is_drawn = (items.c.kind == ItemKind.SAMPLE.value) & items.c.arrived_ms.between(since_ms, until_ms - 1)
    columns = (items.c.id, items.c.kind, items.c.category, items.c.state, items.c.policies, items.c.gold_decision)
    is_wanted = and_(or_(items.c.id.in_(answered), is_drawn), in_queues(queues))
    rows = connection.execute(select(*columns).where(is_wanted, items.c.state != ItemState.ERASED.value)).all()
    said: dict[int, list[Said]] = {row.id: [] for row in rows}
    # Of these items every answer: a second opinion may be younger than the time.
    given = select(answers).join(items, items.c.id == answers.c.item_id).where(is_wanted, OPINION)
    for row in connection.execute(given.order_by(answers.c.is_final, answers.c.id)).mappings():
        if row["item_id"] in said:
            one = Said(row["reviewer"], row["outcome"], row["category"], row["is_final"], row["at_ms"], row["took_ms"])
            said[row["item_id"]].append(one)
    return [
        JudgedItem(
            kind=row.kind,
            category=row.category,
            is_done=row.state == ItemState.DONE,
            said=tuple(said[row.id]),
            drawn=_drawn(row.kind, row.policies),
            gold_decision=row.gold_decision,
        )
        for row in rows
    ]


def _drawn(kind: str, policies: list[dict[str, Any]]) -> tuple[Drawn, ...]:
    """Return the strata in which an item was drawn: of several policies it may be one policy's sample alone."""
    if kind != ItemKind.SAMPLE:
        return ()
    return tuple(
        Drawn(policy["name"], policy["decision"], policy["inclusion"]) for policy in policies if "inclusion" in policy
    )
