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


def log_access(
    connection: Connection,
    actor: str,
    action: str,
    detail: Mapping[str, Any],
    *,
    item_id: int | None = None,
    chat_hash: str | None = None,
    at_ms: int | None = None,
) -> None:
    """Add a row, in the caller's transaction.

    Args:
        connection: Of `Store.writing`.
        actor: Who.
        action: One word, such as `promote`.
        detail: More of it; no chat id and no chat text.
        item_id: Which item of the queue; None outside of it.
        chat_hash: Keyed hash of the chat; None without a key, and of a gold item.
        at_ms: When, milliseconds since 1970; None: now.
    """
    values = {"actor": actor, "action": action, "item_id": item_id, "chat_hash": chat_hash, "detail": dict(detail)}
    connection.execute(insert(access_log).values(**values, at_ms=now_ms() if at_ms is None else at_ms))


def accesses(connection: Connection, actions: Collection[str], limit: int = 200) -> list[Access]:
    """Return the newest rows of some actions, newest first."""
    rows = connection.execute(
        select(access_log.c.actor, access_log.c.action, access_log.c.detail, access_log.c.at_ms)
        .where(access_log.c.action.in_(list(actions)))
        .order_by(access_log.c.id.desc())
        .limit(limit)
    )
    return [Access(actor, action, detail, at_ms) for actor, action, detail, at_ms in rows]
