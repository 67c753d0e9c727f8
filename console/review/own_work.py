"""What one person did: their newest answers, and how much they have seen lately."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, select

from console.review.item import BLIND_KINDS, ItemKind, Outcome
from console.store.tables import access_log, answers, items

DAY_MS: Final = 86_400_000
PAUSE_MS: Final = 600_000
"""Whoever opens nothing for so long has paused."""
PAUSE_AFTER_MS: Final = 3_600_000
"""A pause is suggested to whoever has read for so long without one,"""
PAUSE_AFTER_SEVERE: Final = 60
"""or has opened so many chats of banned categories since the last one."""


@dataclass(frozen=True)
class Exposure:
    """How many texts somebody has opened. Times are milliseconds since 1970."""

    n_seen: int
    """In the last 24 hours."""
    n_severe: int
    """Of these in a banned category. Blind items count as seen alone: a count must not tell what they are."""
    since_ms: int | None
    """When they began to read without a pause; None: nothing in 24 hours."""
    last_ms: int | None
    n_severe_since: int


def recent_answers(connection: Connection, reviewer: str, limit: int) -> list[dict[str, Any]]:
    """Return somebody's own answers, newest first, JSON-ready; a gold item is called a sample."""
    wanted = (
        select(answers, items.c.kind, items.c.queue, items.c.taxonomy)
        .join(items, items.c.id == answers.c.item_id)
        .where(answers.c.reviewer == reviewer)
        .order_by(answers.c.at_ms.desc(), answers.c.id.desc())
        .limit(limit)
    )
    names = (
        "id", "item_id", "outcome", "category", "reason", "note", "at_ms", "undone_ms", "batch", "queue", "taxonomy",
    )  # fmt: skip
    return [
        {name: row[name] for name in names}
        | {"kind": ItemKind.SAMPLE.value if row["kind"] in BLIND_KINDS else row["kind"]}
        for row in connection.execute(wanted).mappings()
    ]


def n_answered(connection: Connection, reviewer: str, since_ms: int) -> int:
    """Return how many answers of somebody count since a time; skips are none."""
    counted = select(func.count()).select_from(answers).where(*_of(reviewer, since_ms))
    return int(connection.execute(counted).scalar_one())


def answer_times(connection: Connection, reviewer: str, since_ms: int, limit: int) -> list[int]:
    """Return when somebody gave their newest answers since a time, the newest last; skips are none."""
    newest = select(answers.c.at_ms).where(*_of(reviewer, since_ms)).order_by(answers.c.at_ms.desc()).limit(limit)
    return sorted(connection.execute(newest).scalars())


def _of(reviewer: str, since_ms: int) -> tuple[ColumnElement[bool], ...]:
    return (
        answers.c.reviewer == reviewer,
        answers.c.at_ms >= since_ms,
        answers.c.undone_ms.is_(None),
        answers.c.outcome != Outcome.SKIP.value,
    )


def exposure_of(connection: Connection, actor: str, banned: Collection[str], now: int) -> Exposure:
    """Return how much somebody has seen.

    Args:
        connection: Any.
        actor: Who.
        banned: Codes of severe categories.
        now: Milliseconds since 1970.
    """
    wanted = (
        select(access_log.c.at_ms, items.c.category, items.c.kind)
        .join(items, items.c.id == access_log.c.item_id, isouter=True)
        .where(access_log.c.at_ms >= now - DAY_MS, access_log.c.actor == actor, access_log.c.action == "reveal")
        .order_by(access_log.c.at_ms)
    )
    n_seen = n_severe = n_severe_since = 0
    since_ms = last_ms = None
    for at_ms, category, kind in connection.execute(wanted):
        is_severe = category in banned and kind not in BLIND_KINDS
        if last_ms is None or at_ms - last_ms > PAUSE_MS:
            since_ms, n_severe_since = at_ms, 0
        last_ms = at_ms
        n_seen += 1
        n_severe += is_severe
        n_severe_since += is_severe
    return Exposure(n_seen, n_severe, since_ms, last_ms, n_severe_since)
