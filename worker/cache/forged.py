"""Cached values that no worker can have written: they claim a record that does not exist.

A write that meets a newer value is dropped. That is right for a worker that the group has dropped and that goes on
writing; so a newer value is not suspicious as such. But one that claims an offset which its partition has not reached
would stand in the way until its TTL ends, and whoever wrote it chose the TTL, too.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from worker.cache.entries import Entry

HighWatermark = Callable[[str, int], int | None]
"""Returns the end of a topic's partition, None where it cannot be told now."""

_CLOCKS_DIFFER_MS: Final = 86_400_000
"""Producers stamp records; one whose clock is a day ahead is believed, as brokers believe it."""


class Stale(NamedTuple):
    """An entry that was not written, and the stored value that the script found to be newer."""

    entry: Entry
    stored: bytes
    topic: str
    partition: str
    offset: str
    timestamp_ms: str
    """As the script read them: any text, where somebody else wrote the value."""


def forged_values(stale: Iterable[Stale], high_watermark: HighWatermark) -> list[Stale]:
    """Return those of the stored values that claim a record which does not exist yet.

    Of the topic that the entry came from, the partition's end decides. Beside another topic or partition only record
    timestamps are compared, so there a timestamp in the future counts.
    """
    ends: dict[tuple[str, int], int | None] = {}

    def end_of(topic: str, partition: int) -> int | None:
        if (topic, partition) not in ends:
            ends[topic, partition] = high_watermark(topic, partition)
        return ends[topic, partition]

    return [one for one in stale if _is_forged(one, end_of)]


def _is_forged(stale: Stale, end_of: HighWatermark) -> bool:
    ours = stale.entry.source
    try:
        partition, offset, timestamp_ms = int(stale.partition), int(stale.offset), int(stale.timestamp_ms)
    except ValueError:
        return True
    if stale.topic == ours.topic:
        end = end_of(ours.topic, partition)
        if end is not None and offset >= end:
            return True
    is_compared_by_time = (stale.topic, partition) != (ours.topic, ours.partition)
    return is_compared_by_time and timestamp_ms > time.time() * 1_000 + _CLOCKS_DIFFER_MS
