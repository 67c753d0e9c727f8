"""Which rows the cache answers, and which the classifier must: pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from model import Classification, RowFailed
from schemas import RejectionReason, Verdict
from worker.record import Event, Rejection, Row
from worker.verdict_builder import VerdictBuilder

Miss = tuple[Row, Event]
"""A row without an answer yet, and its event."""


def chat_ids(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the chats to be looked up."""
    return (row.event.chat.chat_id for row in rows if row.event is not None)


def fill_hits(rows: Iterable[Row], cached: Mapping[str, Verdict], builder: VerdictBuilder, now: datetime) -> list[str]:
    """Give the rows the verdicts whose probabilities the cache holds of this very model, decided anew.

    Returns:
        What was doubted of the cached verdicts that answer a row and are not believed, labels of the metric; `taxonomy`
        for those on the row's text that are of another taxonomy.
    """
    doubts: list[str] = []
    for row in rows:
        if (event := row.event) is None or (verdict := cached.get(event.chat.chat_id)) is None:
            continue
        if not builder.answers(verdict, event):
            if builder.is_of_another_taxonomy(verdict, event):
                doubts.append("taxonomy")
            continue
        hit = builder.from_cache(event, verdict, now)
        if isinstance(hit, str):
            doubts.append(hit)
        else:
            row.verdict = hit
    return doubts


def misses_of(rows: Iterable[Row]) -> list[Miss]:
    """Return the rows that have an event and no verdict."""
    return [(row, row.event) for row in rows if row.event is not None and row.verdict is None]


def fill_misses(
    misses: Iterable[Miss],
    by_fingerprint: Mapping[str, Classification | RowFailed],
    builder: VerdictBuilder,
    now: datetime,
) -> None:
    """Give each miss the verdict on its text, or a rejection where the model failed on it."""
    for row, event in misses:
        result = by_fingerprint[event.fingerprint]
        if isinstance(result, Classification):
            row.verdict = builder.fresh(event, result, now)
        else:
            row.rejection = Rejection(RejectionReason.CLASSIFICATION_FAILED, result.error, event.chat.chat_id)
