"""Find chats in topics: how many records of them there are, and under which keys and in which partitions.

A compacted topic forgets what has the very key of a tombstone, and in the tombstone's own partition. Upstream may write
a key in another form than the bare chat_id, and put it elsewhere than murmur2 does; so both are noted as found.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas import CodecLimits, ValueFormat, chat_of_key
from worker.cache.chats import chat_of
from worker.erase.stores import Store
from worker.kafka.partition_range import PartitionRange
from worker.kafka.topic_scan import ScannedRecord

Scan = Callable[[Sequence[PartitionRange]], Iterator[list[ScannedRecord]]]
"""Yields the committed records of ranges in steps."""


class Stopped(Exception):  # noqa: N818  the name says what happened
    """The lifecycle said stop."""


class Place(NamedTuple):
    """Where records of one key lie."""

    partition: int
    key: bytes


@dataclass
class Found:
    """What one topic holds of the chats. Records of one partition are added in their order."""

    n_records: int = 0
    """With a value."""
    n_tombstones: int = 0
    """Without one: what an earlier erasure, or upstream, has left."""
    n_read: int = 0
    """Records that were looked at."""
    newest_ms: int | None = None
    """Timestamp of the newest record with a value, ms since the epoch."""
    places: set[Place] = field(default_factory=set)
    """Where keys lie whose last record has a value: a tombstone is due there."""

    def add(self, record: ScannedRecord) -> None:
        """Take a record of one of the chats."""
        place = None if record.key is None else Place(record.partition, record.key)
        if record.value is None:
            self.n_tombstones += 1
            self.places -= {place}
            return
        self.n_records += 1
        self.newest_ms = max(record.timestamp_ms, self.newest_ms or record.timestamp_ms)
        if place is not None:
            self.places.add(place)


def search(
    store: Store,
    ranges: Sequence[PartitionRange],
    chats: Collection[str],
    *,
    scan: Scan,
    limits: CodecLimits,
    value_format: ValueFormat,
    stopping: Callable[[], bool],
    progressed: Callable[[int], None],
) -> Found:
    """Read a topic and return what it holds of some chats.

    Args:
        store: The topic.
        ranges: What it holds.
        chats: Their ids.
        scan: Reads.
        limits: Codec limits, for events.
        value_format: What events come in.
        stopping: Says whether the search must end.
        progressed: Told of so many more records behind the search.

    Raises:
        Fatal: the brokers stay silent, or refuse.
        Stopped: the search must end.
    """
    found = Found()
    for records in scan(ranges):
        if stopping():
            raise Stopped
        for record in _of(records, store, chats, limits, value_format):
            found.add(record)
        found.n_read += len(records)
        progressed(len(records))
    return found


def _of(
    records: Iterable[ScannedRecord],
    store: Store,
    chats: Collection[str],
    limits: CodecLimits,
    value_format: ValueFormat,
) -> Iterator[ScannedRecord]:
    for record in records:
        named = {chat_of_key(record.key)}
        if store.is_events and record.value is not None:
            # Its key may name another chat, or none.
            named.add(chat_of(record.key, record.value, limits, value_format))
        if not named.isdisjoint(chats):
            yield record
