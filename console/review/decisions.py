"""Decisions for export: one row an answer, the undone ones marked, and nothing else: no claims, no reveals, no repeats.

A reviewer's own export tells gold items from samples no more than the queue does.
"""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select

from console.review.item import BLIND_KINDS, ItemKind
from console.review.rows import Queues, in_queues
from console.store.tables import answers, items

COLUMNS: Final = (
    "answer_id", "decision_id", "at", "undone_at", "reviewer", "outcome", "category", "reason", "note", "policy",
    "whole_chat", "is_blind", "is_final", "batch", "took_ms", "item_id", "kind", "queue", "verdict_id", "chat_id",
    "model_category", "decided_before", "taxonomy", "model",
)  # fmt: skip
"""Of a row, in order. Times are ISO 8601 in UTC."""
CHUNK: Final = 500
"""Rows of one read."""

_MODELS: Final = ("verdict_id", "chat_id", "model_category", "decided_before", "model")
"""Of a blind item these lead to what the model says."""


def decisions(
    connection: Connection,
    *,
    reviewer: str | None,
    since_ms: int,
    until_ms: int,
    after: int,
    limit: int,
    queues: Queues = None,
) -> list[dict[str, Any]]:
    """Return answers of a time in the order in which they were given.

    Args:
        connection: Any.
        reviewer: Whose, as they may see them; None: everybody's, with all that is known.
        since_ms: From then on, milliseconds since 1970.
        until_ms: Up to then.
        after: answer_id behind which they stand; 0: from the first.
        limit: How many at most.
        queues: On items of these alone; None: of all.
    """
    wanted = select(
        answers,
        items.c.kind,
        items.c.queue,
        items.c.verdict_id,
        items.c.chat_id,
        items.c.category.label("model_category"),
        items.c.policies,
        items.c.taxonomy,
        items.c.model,
    ).join(items, items.c.id == answers.c.item_id)
    is_of_time = (answers.c.at_ms >= since_ms, answers.c.at_ms < until_ms)
    wanted = wanted.where(answers.c.id > after, *is_of_time, in_queues(queues))
    if reviewer is not None:
        wanted = wanted.where(answers.c.reviewer == reviewer)
    rows = connection.execute(wanted.order_by(answers.c.id).limit(limit)).mappings()
    return [_row(row, is_own=reviewer is not None) for row in rows]


def _row(row: RowMapping, *, is_own: bool) -> dict[str, Any]:
    found = {
        **{name: row[name] for name in COLUMNS if name in row},
        "answer_id": row["id"],
        "at": _time(row["at_ms"]),
        "undone_at": None if row["undone_ms"] is None else _time(row["undone_ms"]),
        "decided_before": "; ".join(_policy(policy) for policy in row["policies"]),
        "taxonomy": _joined(row["taxonomy"], "name", "version"),
        "model": _joined(row["model"], "name", "version", "digest"),
    }
    if is_own and row["kind"] in BLIND_KINDS:
        found |= dict.fromkeys(_MODELS) | {"kind": ItemKind.SAMPLE.value}
    return {name: found[name] for name in COLUMNS}


def _policy(policy: dict[str, Any]) -> str:
    return _joined(policy, "name", "version", "decision")


def _joined(document: dict[str, Any] | None, *names: str) -> str:
    return " ".join(str(document[name]) for name in names if name in document) if document else ""


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
