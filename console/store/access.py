"""The log of who did what besides deciding: rows are only ever added."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select

from console.store.store import now_ms
from console.store.tables import access_log


class Access(NamedTuple):
    """One row of the log."""

    actor: str
    action: str
    detail: dict[str, Any]
    at_ms: int


def log_access(connection: Connection, actor: str, action: str, detail: Mapping[str, Any]) -> None:
    """Add a row, in the caller's transaction.

    Args:
        connection: Of the transaction.
        actor: Who.
        action: What, such as `promote`.
        detail: More of it, without chat text.
    """
    connection.execute(insert(access_log).values(actor=actor, action=action, detail=dict(detail), at_ms=now_ms()))


def accesses(connection: Connection, actions: Collection[str], limit: int = 200) -> list[Access]:
    """Return the newest rows of some actions, newest first."""
    rows = connection.execute(
        select(access_log.c.actor, access_log.c.action, access_log.c.detail, access_log.c.at_ms)
        .where(access_log.c.action.in_(list(actions)))
        .order_by(access_log.c.id.desc())
        .limit(limit)
    )
    return [Access(actor, action, detail, at_ms) for actor, action, detail, at_ms in rows]
