"""Appeals as they stand: of a verdict, by id, beside their item, and how often each caller's are right."""

from collections.abc import Collection
from math import sqrt
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, RowMapping, and_, func, select

from console.store.appeal_answers import ERASED_FIRST
from console.store.outbox_bodies import Kind
from console.store.outbox_rows import sending
from console.store.tables import answers, appeals, items

ACCEPTED: Final = "accepted"
"""The decision changes."""
REJECTED: Final = "rejected"
_Z: Final = 1.96
"""Of a two-sided interval of 95 %."""


class Appeal(NamedTuple):
    """An appeal as its caller sees it. Times are milliseconds since 1970."""

    id: str
    item_id: int
    caller: str
    verdict_id: str
    chat_id: str | None
    """None: the chat was erased."""
    created_ms: int
    answered_ms: int | None
    """From then on the answer holds; None: there is none yet."""
    outcome: str | None
    decision: str | None
    reason: str | None


class Said(NamedTuple):
    """What a caller objects with, for whoever answers."""

    caller: str
    reason: str
    note: str | None


class Reliability(NamedTuple):
    """How often a caller's appeals are right."""

    caller: str
    n: int
    n_answered: int
    n_accepted: int
    share: float | None
    """Accepted of those that were answered; None where none was."""
    low: float
    high: float
    """Wilson's interval of the share, 95 %."""


def appeal_on(connection: Connection, verdict_id: str) -> Appeal | None:
    """Return the appeal against a verdict; None where there is none."""
    return _first(connection, appeals.c.verdict_id == verdict_id)


def appeal_of(connection: Connection, appeal_id: str) -> Appeal | None:
    """Return an appeal by its id; None where there is none."""
    return _first(connection, appeals.c.id == appeal_id)


def said_of_items(connection: Connection, item_ids: Collection[int]) -> dict[int, Said]:
    """Return by item what the callers of these appeals say; items that are no appeals are left out."""
    columns = (appeals.c.item_id, appeals.c.caller, appeals.c.reason, appeals.c.note)
    found = connection.execute(select(*columns).where(appeals.c.item_id.in_(item_ids)))
    return {item_id: Said(caller, reason, note) for item_id, caller, reason, note in found}


def told(connection: Connection, appeal: Appeal) -> str | None:
    """Return how far the answer is on its way to the caller's address; None where it is not sent anywhere."""
    wanted = select(answers.c.decision_id).where(answers.c.item_id == appeal.item_id, answers.c.undone_ms.is_(None))
    for decision_id in connection.execute(wanted.order_by(answers.c.id.desc())).scalars():
        if (found := sending(connection, decision_id, Kind.WEBHOOK)) is not None:
            return found.state
    # Of a chat that was erased first there is no decision.
    found = sending(connection, appeal.id, Kind.WEBHOOK)
    return None if found is None else found.state


def reliabilities(connection: Connection, now: int) -> list[Reliability]:
    """Return how often each caller's appeals were accepted, the caller with the most appeals first."""
    # Nobody looked again at a chat that was erased first.
    is_answered = and_(appeals.c.answered_ms <= now, appeals.c.outcome != ERASED_FIRST)
    wanted = select(
        appeals.c.caller,
        func.count(),
        func.count().filter(is_answered),
        func.count().filter(is_answered, appeals.c.outcome == ACCEPTED),
    ).group_by(appeals.c.caller)
    found = [_reliability(*row) for row in connection.execute(wanted)]
    return sorted(found, key=lambda one: (-one.n, one.caller))


def _reliability(caller: str, n: int, n_answered: int, n_accepted: int) -> Reliability:
    low, high = wilson(n_accepted, n_answered)
    share = n_accepted / n_answered if n_answered else None
    return Reliability(caller, n, n_answered, n_accepted, share, low, high)


def wilson(n_hits: int, n: int) -> tuple[float, float]:
    """Return Wilson's interval of a share, 95 %; all that is possible where n is 0."""
    if n == 0:
        return 0.0, 1.0
    share, z2 = n_hits / n, _Z * _Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def _first(connection: Connection, condition: Any) -> Appeal | None:
    wanted = select(appeals, items.c.chat_id).join(items, items.c.id == appeals.c.item_id).where(condition)
    row = connection.execute(wanted).mappings().first()
    return None if row is None else _appeal(row)


def _appeal(row: RowMapping) -> Appeal:
    return Appeal(
        row["id"],
        row["item_id"],
        row["caller"],
        row["verdict_id"],
        row["chat_id"],
        row["created_ms"],
        row["answered_ms"],
        row["outcome"],
        row["decision"],
        row["answer_reason"],
    )
