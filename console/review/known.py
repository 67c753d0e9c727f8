"""Verdicts that the database knows: its items, by the id of their verdict, or by what their chats say."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, select

from console.store.tables import items
from schemas import Source, TaxonomyRef

_MOST = 20


class KnownItem(NamedTuple):
    """What an item keeps of its verdict; see `schemas.feedback.KnownVerdict`."""

    item_id: int
    verdict_id: str
    chat_id: str
    chat_hash: str | None
    content_fingerprint: str
    source: Source
    taxonomy: TaxonomyRef
    category: str
    probabilities: Mapping[str, float]
    """By category: the item's evidence."""
    override_revision: int = 0


def known_verdict(connection: Connection, verdict_id: str) -> KnownItem | None:
    """Return the verdict with this id; None where no item has it, or its chat was erased."""
    return next(iter(_found(connection, items.c.verdict_id == verdict_id)), None)


def known_texts(connection: Connection, fingerprint: str) -> list[KnownItem]:
    """Return verdicts on chats that say just this, the newest first."""
    return _found(connection, items.c.fingerprint == fingerprint)


def _found(connection: Connection, condition: ColumnElement[bool]) -> list[KnownItem]:
    # A gold item is no chat of anybody's.
    is_whole = and_(items.c.chat_id.is_not(None), items.c.fingerprint.is_not(None), items.c.topic.is_not(None))
    wanted = select(items).where(condition, is_whole, items.c.kind != "gold").order_by(items.c.id.desc()).limit(_MOST)
    return [_known(row) for row in connection.execute(wanted).mappings()]


def _known(row: RowMapping) -> KnownItem:
    values: dict[str, Any] = {
        "topic": row["topic"],
        "partition": row["partition"],
        "offset": row["record_offset"],
        "timestamp_ms": -1 if row["timestamp_ms"] is None else row["timestamp_ms"],
    }
    return KnownItem(
        row["id"],
        row["verdict_id"],
        row["chat_id"],
        row["chat_hash"],
        row["fingerprint"],
        Source(**values),
        TaxonomyRef.model_validate(row["taxonomy"]),
        row["category"],
        row["evidence"],
    )
