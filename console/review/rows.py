"""From rows of the database to items, with who holds them."""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, or_, select, true

from console.review.item import BLIND_KINDS, Earlier, Item, ItemKind, ItemState, Outcome
from console.store.tables import answers, claims, items

_COLUMNS: Final = tuple(field.name for field in fields(Item) if field.name in items.c)

OPINION: Final = and_(answers.c.undone_ms.is_(None), answers.c.outcome != Outcome.SKIP.value)
"""An answer that counts."""
SKIP: Final = and_(answers.c.undone_ms.is_(None), answers.c.outcome == Outcome.SKIP.value)

Queues = frozenset[str] | None
"""Names of the queues that are a person's; None: all."""


def item_of(row: RowMapping) -> Item:
    """Return the item of a row of `items`."""
    return Item(**{name: row[name] for name in _COLUMNS})


def in_queues(queues: Queues) -> ColumnElement[bool]:
    """Return the condition that an item is of a person's queues."""
    return true() if queues is None else items.c.queue.in_(sorted(queues))


def is_within(item: Item, reviewer: str, queues: Queues) -> bool:
    """Say whether an item is of a person's queues, and no gold item of somebody else's."""
    return item.meant_for in {None, reviewer} and (queues is None or item.queue in queues)


def answerable(reviewer: str, *, is_admin: bool, queues: Queues = None) -> ColumnElement[bool]:
    """Return the condition that an open item is one for a reviewer.

    It is not where it is of a queue that is not theirs; where they have answered it, unless an admin settles a dispute;
    where they gave the answer that is appealed; and where it is another reviewer's gold item.

    Args:
        reviewer: Who asks.
        is_admin: Whether they settle disputes that they are part of.
        queues: That are theirs.
    """
    own = select(answers.c.id).where(answers.c.item_id == items.c.id, answers.c.reviewer == reviewer, OPINION).exists()
    appealed = (
        select(answers.c.id)
        .where(answers.c.item_id == items.c.appealed_id, answers.c.reviewer == reviewer, OPINION)
        .exists()
    )
    is_new = or_(~own, items.c.n_answers >= items.c.n_wanted) if is_admin else ~own
    return and_(
        in_queues(queues),
        is_new,
        or_(items.c.appealed_id.is_(None), ~appealed),
        or_(items.c.meant_for.is_(None), items.c.meant_for == reviewer),
    )


def with_claims(
    connection: Connection, found: Sequence[Item], reviewer: str, now: int, queues: Queues = None
) -> list[Item]:
    """Return items with who holds them, and what was answered on the same text before, in the reviewer's queues."""
    holders = _holders(connection, [item.id for item in found], now)
    earlier = _earlier(connection, {item.fingerprint for item in found if _may_see_earlier(item)}, queues)
    return [_with(item, holders.get(item.id, []), reviewer, earlier) for item in found]


def _with(item: Item, holders: list[tuple[str, int]], reviewer: str, earlier: dict[str, Earlier]) -> Item:
    if _may_see_earlier(item) and item.fingerprint is not None:
        item = replace(item, earlier=earlier.get(item.fingerprint))
    for name, until_ms in holders:
        if name == reviewer:
            return replace(item, claimed_by=name, claim_until_ms=until_ms)
    if holders and len(holders) >= places_of(item):
        name, until_ms = min(holders, key=lambda holder: holder[1])
        return replace(item, claimed_by=name, claim_until_ms=until_ms)
    return item


def places_of(item: Item) -> int:
    """Return how many people may hold an item at once: as many as opinions are missing, one in a dispute."""
    return 1 if item.is_disputed else max(0, item.n_wanted - item.n_answers)


def _may_see_earlier(item: Item) -> bool:
    return item.kind not in BLIND_KINDS and item.n_wanted == 1


def _holders(connection: Connection, ids: Sequence[int], now: int) -> dict[int, list[tuple[str, int]]]:
    found: dict[int, list[tuple[str, int]]] = {}
    if not ids:
        return found
    wanted = select(claims).where(claims.c.item_id.in_(ids), claims.c.until_ms > now).order_by(claims.c.until_ms)
    for row in connection.execute(wanted).mappings():
        found.setdefault(row["item_id"], []).append((row["reviewer"], row["until_ms"]))
    return found


def _earlier(connection: Connection, fingerprints: Iterable[str | None], queues: Queues) -> dict[str, Earlier]:
    """Return the newest answer on each text, of items that are settled."""
    wanted = [one for one in fingerprints if one is not None]
    if not wanted:
        return {}
    newest = (
        select(func.max(answers.c.id))
        .join(items, items.c.id == answers.c.item_id)
        .where(
            items.c.fingerprint.in_(wanted),
            in_queues(queues),
            items.c.state == ItemState.DONE.value,
            items.c.kind.in_([ItemKind.REVIEW.value, ItemKind.APPEAL.value]),
            OPINION,
        )
        .group_by(items.c.fingerprint)
    )
    rows = connection.execute(
        select(items.c.fingerprint, answers)
        .join(items, items.c.id == answers.c.item_id)
        .where(answers.c.id.in_(newest))
    )
    return {row["fingerprint"]: _earlier_of(row) for row in rows.mappings()}


def _earlier_of(row: RowMapping) -> Earlier:
    names: dict[str, Any] = {name: row[name] for name in ("outcome", "category", "reason", "reviewer", "at_ms")}
    return Earlier(**names)
