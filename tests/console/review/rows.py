"""Rows of items for tests, and a clock that moves when it is told."""

import json
from typing import Any

from sqlalchemy import insert, select, update

from console.store.store import Store
from console.store.tables import items, outbox

HOUR_MS = 3_600_000
NOW_MS = 1_800_000_000_000
CODES = ("A", "B", "M")


class Clock:
    """Milliseconds since 1970, as the test sets them."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        """Return the time."""
        return self.now_ms

    def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ms += round(seconds * 1_000)


def item_row(n: int, **changes: Any) -> dict[str, Any]:
    """Return the row of a review that arrived n hours before now."""
    arrived_ms = NOW_MS - n * HOUR_MS
    row: dict[str, Any] = {
        "kind": "review",
        "queue": "default",
        "state": "open",
        "verdict_id": f"{n:032x}",
        "chat_id": f"chat-{n}",
        "chat_hash": f"{n:064x}",
        "topic": "chat-events",
        "partition": 0,
        "record_offset": n,
        "timestamp_ms": arrived_ms,
        "fingerprint": f"{n:032x}",
        "policies": [{"name": "default", "version": "2", "decision": "review", "decided_by": "model"}],
        "taxonomy": {"name": "chat-13", "version": "1"},
        "category": "M",
        "evidence": {"A": 0.2, "B": 0.1, "M": 0.7},
        "language": "en",
        "unevaluated": [],
        "model": {"name": "m", "version": "1", "digest": "sha256:" + "0" * 64},
        "risk": 0.5,
        "decided_ms": arrived_ms,
        "arrived_ms": arrived_ms,
        "order_ms": arrived_ms,
        "n_wanted": 1,
        "n_answers": 0,
    }
    return row | changes


def sample_row(n: int, decision: str = "allow", **changes: Any) -> dict[str, Any]:
    """Return the row of a sample: an automatic decision."""
    policies = [{"name": "default", "version": "2", "decision": decision, "decided_by": "model"}]
    return item_row(n, kind="sample", policies=policies, inclusion=0.1, **changes)


def put(store: Store, *rows: dict[str, Any]) -> list[int]:
    """Put items into the database and return their numbers."""
    ids = []
    with store.writing() as connection:
        for row in rows:
            (item_id,) = connection.execute(insert(items).values(row)).inserted_primary_key or (0,)
            ids.append(int(item_id))
    return ids


def outbox_of(store: Store) -> list[tuple[str, dict[str, Any], bool]]:
    """Return kind, body and whether it is cancelled of every row of the outbox, in order."""
    with store.reading() as connection:
        rows = connection.execute(select(outbox).order_by(outbox.c.id)).mappings().all()
    return [(row["kind"], json.loads(row["body"]), row["cancelled_ms"] is not None) for row in rows]


def started(store: Store) -> None:
    """Mark every row of the outbox as started, as its sender does before it sends."""
    with store.writing() as connection:
        connection.execute(update(outbox).where(outbox.c.cancelled_ms.is_(None)).values(started_ms=1, sent_ms=2))
