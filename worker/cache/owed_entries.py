"""Entries that are written later, and where they belong."""

from typing import NamedTuple

from schemas import Source
from schemas.marker import OWED
from worker.cache.entries import Entry, marker_entry

Partition = tuple[str, int]
"""Topic and partition."""

Line = tuple[str, str, int]
"""Chat, topic and partition: within a line the offset alone says which entry is newer."""


class OwedRange(NamedTuple):
    """Offsets of one input partition whose entries are owed, and of which nothing else is known any more."""

    topic: str
    partition: int
    start: int
    end: int
    """Not included."""


def line_of(entry: Entry) -> Line:
    """Return among which entries the offset decides."""
    return entry.chat_id, entry.source.topic, entry.source.partition


def partition_of(entry: Entry) -> Partition:
    """Return where the record lies that this entry answers."""
    return entry.source.topic, entry.source.partition


def owed_entry(chat_id: str, source: Source) -> Entry:
    """Return the marker that takes away whatever is older than this record, and says no more than that."""
    return marker_entry(chat_id, source, OWED)
