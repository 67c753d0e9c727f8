"""Which rows the cache answers, and which the classifier must: pure."""

from collections.abc import Iterable, Iterator, Mapping

from model import Classification, RowFailed
from schemas import RejectionReason, Verdict
from worker.record import Event, Rejection, Row
from worker.verdict_builder import VerdictBuilder

Miss = tuple[Row, Event]
"""A row without an answer yet, and its event."""


def chat_ids(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the chats to be looked up."""
    return (row.event.chat.chat_id for row in rows if row.event is not None)


def fill_hits(rows: Iterable[Row], cached: Mapping[str, Verdict], builder: VerdictBuilder) -> list[str]:
    """Give the rows the cached verdicts on their very text by this very model, whose probabilities are then theirs.

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
        elif (doubt := builder.doubt(verdict)) is not None:
            doubts.append(doubt)
        else:
            row.reading = verdict
    return doubts


def misses_of(rows: Iterable[Row]) -> list[Miss]:
    """Return the rows that have an event and no reading."""
    return [(row, row.event) for row in rows if row.event is not None and row.reading is None]


def fill_misses(misses: Iterable[Miss], by_fingerprint: Mapping[str, Classification | RowFailed]) -> None:
    """Give each miss what the classifier said of its text, or a rejection where the model failed on it."""
    for row, event in misses:
        result = by_fingerprint[event.fingerprint]
        if isinstance(result, Classification):
            row.reading = result
        else:
            row.rejection = Rejection(RejectionReason.CLASSIFICATION_FAILED, result.error, event.chat.chat_id)
