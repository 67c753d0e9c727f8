"""What a batch leaves in the cache: one entry per row, a verdict or the marker of a rejection.

The cache and the topics tell one story: a chat's key shows what became of its newest record. So a rejected record takes
the place of the verdict before it, by the same compare-and-set.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from schemas import RejectionMarker, Source, Verdict, encode_marker
from schemas.marker import TOMBSTONE
from worker.record import Row, rejected_chat

MAX_VALUE_BYTES: Final = 65_536
"""Largest value that is written or believed: 50 times an ordinary verdict; one of 256 categories whose codes have 64
characters takes 42,000. What is longer is no verdict of ours."""


class Entry(NamedTuple):
    """What one record leaves in its chat's key."""

    chat_id: str
    value: bytes
    """JSON of a Verdict or a RejectionMarker, as a topic would hold it."""
    source: Source
    verdict: Verdict | None = None
    """What `value` says; None for a marker."""
    rejected: str | None = None
    """The marker's reason; None for a verdict."""
    ttl_s: int | None = None
    """How long it stays, seconds; None: as the settings say."""


def verdict_entry(verdict: Verdict, encoded: bytes) -> Entry:
    """Return the entry of a verdict; where no reader would take it, a marker, lest the one before it stays."""
    if len(encoded) > MAX_VALUE_BYTES:
        return marker_entry(verdict.chat_id, verdict.source, "verdict_too_large")
    return Entry(verdict.chat_id, encoded, verdict.source, verdict=verdict)


def marker_entry(chat_id: str, source: Source, rejected: str) -> Entry:
    """Return the entry of a record without a verdict."""
    marker = RejectionMarker(chat_id=chat_id, source=source, rejected=rejected)
    return Entry(chat_id, encode_marker(marker), source, rejected=rejected)


def cache_entries(rows: Iterable[Row]) -> Iterator[Entry]:
    """Yield what settled rows leave in the cache.

    A rejection whose chat nobody can tell leaves nothing.
    """
    for row in rows:
        if row.verdict is not None and row.encoded is not None:
            yield verdict_entry(row.verdict, row.encoded)
        elif row.rejection is not None and (chat_id := rejected_chat(row.record, row.rejection)) is not None:
            rejected = TOMBSTONE if row.rejection.erases else row.rejection.reason.value
            yield marker_entry(chat_id, row.record.source, rejected)


def newest_entries(entries: Iterable[Entry]) -> list[Entry]:
    """Return the newest entry of each chat and partition.

    A replay may read one chat from several partitions, and dead letters in any order: only within a partition is it
    known here which entry is newer, the rest is left to the compare-and-set.
    """
    newest: dict[tuple[str, str, int], Entry] = {}
    for entry in entries:
        line = (entry.chat_id, entry.source.topic, entry.source.partition)
        if line not in newest or newest[line].source.offset <= entry.source.offset:
            newest[line] = entry
    return list(newest.values())
