"""Pages of the queue, and how long it waits: by indexes alone, so that 100,000 items cost what 100 do.

Order: what the reviewer has skipped stands behind everything else, by when it was skipped; nothing drops out. A page is
found by where the one before it ended, never by counting.
"""

from dataclasses import replace
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from console.review.errors import WishRefused
from console.review.item import Item, ItemKind, ItemState, Order, Page, QueueStanding
from console.review.rows import OPINION, SKIP, Queues, answerable, in_queues, item_of, with_claims
from console.store.tables import answers, claims, items

MAX_LIMIT: Final = 200
ADJUDICATION: Final = "adjudication"
"""Asks for the items on which reviewers disagree, whatever their kind."""
_LATEST_SHARE: Final = 0.05
_MOST_CURSOR_CHARACTERS: Final = 64
_LARGEST_NUMBER: Final = 2**63 - 1
"""Of both databases."""


class Asked(NamedTuple):
    """Who looks at what."""

    reviewer: str
    is_admin: bool = False
    queue: str | None = None
    kind: str | None = None
    order: Order = "risk"
    queues: Queues = None
    """Those that are the reviewer's."""


class _Cursor(NamedTuple):
    """Where a page ended."""

    is_skipped: bool
    key: int
    """Of the order; of what was skipped: when."""
    item_id: int


def page(connection: Connection, asked: Asked, *, after: str | None, limit: int, now: int, late_ms: int) -> Page:
    """Return a page of the queue.

    Args:
        connection: Any.
        asked: Who looks at what.
        after: `Page.after` of the page before; None: the first.
        limit: Items of a page, 1 to 200.
        now: Milliseconds since 1970.
        late_ms: Items that wait for longer are late.

    Raises:
        WishRefused: the order, the limit or the cursor is none.
    """
    check_order(asked.order)
    if not 1 <= limit <= MAX_LIMIT:
        raise WishRefused("limit", f"limit is {limit}; expected 1 to {MAX_LIMIT}")
    cursor = None if after is None else _cursor_of(after)
    rows: list[tuple[bool, Any]] = []
    if cursor is None or not cursor.is_skipped:
        statement = fresh_items(asked, cursor and (cursor.key, cursor.item_id)).limit(limit + 1)
        rows += [(False, row) for row in connection.execute(statement).mappings()]
    if len(rows) <= limit:
        behind = cursor if cursor is not None and cursor.is_skipped else None
        statement = skipped_items(asked, behind and (behind.key, behind.item_id)).limit(limit + 1 - len(rows))
        rows += [(True, row) for row in connection.execute(statement).mappings()]
    shown = rows[:limit]
    found = with_claims(connection, [item_of(row) for _, row in shown], asked.reviewer, now, asked.queues)
    marked = [_marked(item, is_skipped=is_skipped) for item, (is_skipped, _) in zip(found, shown, strict=True)]
    end = None
    if len(rows) > limit:
        is_skipped, row = shown[-1]
        end = _text_of(_Cursor(is_skipped, row["at"], row["id"]))
    waiting = standing_of(connection, asked.queue, now=now, late_ms=late_ms, queues=asked.queues)
    total = _n_for(connection, asked, waiting.n_open if asked.kind is None else None)
    return Page(marked, total, waiting.oldest_ms, waiting.n_late, waiting.p95_wait_ms, end)


def check_order(order: str) -> None:
    """Raise WishRefused where an order is none."""
    if order not in {"risk", "age"}:
        raise WishRefused("order", "order is neither risk nor age; send one of them")


def fresh_items(asked: Asked, after: tuple[int, int] | None = None) -> Select[Any]:
    """Return the statement for open items that the reviewer has not skipped, in order; `at` is the key of the order.

    Args:
        asked: Who looks at what.
        after: Key and id behind which the items stand.
    """
    key = items.c.order_ms if asked.order == "risk" else items.c.arrived_ms
    skipped = select(answers.c.id).where(answers.c.item_id == items.c.id, answers.c.reviewer == asked.reviewer, SKIP)
    statement = select(items, key.label("at")).where(_is_asked(asked), ~skipped.exists())
    if after is not None:
        at, item_id = after
        # `key >=` alone tells both databases where in the index to begin.
        statement = statement.where(key >= at, or_(key > at, items.c.id > item_id))
    return statement.order_by(key, items.c.id)


def skipped_items(asked: Asked, after: tuple[int, int] | None = None) -> Select[Any]:
    """Return the statement for open items that the reviewer has skipped, what was skipped last behind the others."""
    last = (
        select(answers.c.item_id, func.max(answers.c.at_ms).label("at"))
        .where(answers.c.reviewer == asked.reviewer, SKIP)
        .group_by(answers.c.item_id)
        .subquery()
    )
    statement = select(items, last.c.at).join(last, last.c.item_id == items.c.id).where(_is_asked(asked))
    if after is not None:
        at, item_id = after
        statement = statement.where(or_(last.c.at > at, and_(last.c.at == at, items.c.id > item_id)))
    return statement.order_by(last.c.at, items.c.id)


def without_holders(reviewer: str, now: int) -> ColumnElement[bool]:
    """Return the condition that an item has a place left for a reviewer who does not hold it already."""
    active = and_(claims.c.item_id == items.c.id, claims.c.until_ms > now)
    n_holders = select(func.count()).select_from(claims).where(active).scalar_subquery()
    is_own = select(claims.c.token).where(active, claims.c.reviewer == reviewer).exists()
    has_place = or_(
        n_holders < items.c.n_wanted - items.c.n_answers, and_(items.c.n_answers >= items.c.n_wanted, n_holders == 0)
    )
    return and_(~is_own, has_place)


def _n_for(connection: Connection, asked: Asked, n_open: int | None) -> int:
    """Return how many open items are for a reviewer: all, which may be known, less those that are not for them."""
    wanted = [items.c.state == ItemState.OPEN.value, in_queues(asked.queues)]
    if asked.queue is not None:
        wanted.append(items.c.queue == asked.queue)
    if asked.kind is not None:
        wanted.append(_is_of_kind(asked.kind))
    if n_open is None:
        n_open = connection.execute(select(func.count()).select_from(items).where(*wanted)).scalar_one()
    of_others = (
        select(func.count())
        .select_from(items)
        .where(*wanted, items.c.kind == ItemKind.GOLD.value, items.c.meant_for != asked.reviewer)
    )
    answered = (
        select(func.count(func.distinct(items.c.id)))
        .select_from(answers.join(items, items.c.id == answers.c.item_id))
        .where(*wanted, answers.c.reviewer == asked.reviewer, OPINION)
    )
    if asked.is_admin:
        answered = answered.where(items.c.n_answers < items.c.n_wanted)
    return int(n_open - connection.execute(of_others).scalar_one() - connection.execute(answered).scalar_one())


def standing_of(
    connection: Connection, queue: str | None, *, now: int, late_ms: int, queues: Queues = None
) -> QueueStanding:
    """Return how long a queue waits, or all of a person's queues together."""
    wanted = [items.c.state == ItemState.OPEN.value, in_queues(queues)]
    if queue is not None:
        wanted.append(items.c.queue == queue)
    counted = select(func.count()).select_from(items)
    n = connection.execute(counted.where(*wanted)).scalar_one()
    if not n:
        return QueueStanding(queue or "", 0, None, 0, None)
    n_late = connection.execute(counted.where(*wanted, items.c.arrived_ms < now - late_ms)).scalar_one()
    by_age = select(items.c.arrived_ms).where(*wanted).order_by(items.c.arrived_ms).limit(1)
    oldest_ms = connection.execute(by_age).scalar_one()
    p95_ms = connection.execute(by_age.offset(int(_LATEST_SHARE * (n - 1)))).scalar_one()
    return QueueStanding(queue or "", n, oldest_ms, n_late, max(0, now - p95_ms))


def standings(connection: Connection, *, now: int, late_ms: int, queues: Queues = None) -> list[QueueStanding]:
    """Return how each of a person's queues stands that has open items, by name."""
    is_open = and_(items.c.state == ItemState.OPEN.value, in_queues(queues))
    names = sorted(connection.execute(select(items.c.queue).where(is_open).group_by(items.c.queue)).scalars())
    return [standing_of(connection, name, now=now, late_ms=late_ms) for name in names]


def _is_asked(asked: Asked) -> ColumnElement[bool]:
    is_for = answerable(asked.reviewer, is_admin=asked.is_admin, queues=asked.queues)
    wanted = [items.c.state == ItemState.OPEN.value, is_for]
    if asked.queue is not None:
        wanted.append(items.c.queue == asked.queue)
    if asked.kind is not None:
        wanted.append(_is_of_kind(asked.kind))
    return and_(*wanted)


def _is_of_kind(kind: str) -> ColumnElement[bool]:
    # Whoever could ask for gold items, or for samples without them, would know which are which.
    blind = [ItemKind.SAMPLE.value, ItemKind.GOLD.value]
    if kind == ADJUDICATION:
        return items.c.n_answers >= items.c.n_wanted
    return items.c.kind.in_(blind) if kind in blind else items.c.kind == kind


def _marked(item: Item, *, is_skipped: bool) -> Item:
    return replace(item, was_skipped=True) if is_skipped else item


def _text_of(cursor: _Cursor) -> str:
    return f"{int(cursor.is_skipped)}.{cursor.key}.{cursor.item_id}"


def _cursor_of(text: str) -> _Cursor:
    parts = text.split(".")
    is_one = len(text) <= _MOST_CURSOR_CHARACTERS and len(parts) == len(_Cursor._fields)
    try:
        phase, key, item_id = (int(part) for part in parts) if is_one else (-1, 0, 0)
    except ValueError:
        phase = -1
    if phase not in {0, 1} or not (0 <= item_id <= _LARGEST_NUMBER and abs(key) <= _LARGEST_NUMBER):
        raise WishRefused("after", "after is no cursor; expected `after` of the page before")
    return _Cursor(bool(phase), key, item_id)
