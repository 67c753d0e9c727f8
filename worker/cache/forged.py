"""Cached values that no worker can have written: they claim a record that does not exist.

A write that meets a newer value is dropped. That is right for a worker that the group has dropped and that goes on
writing; so a newer value is not suspicious as such. But one that claims an offset which its partition has not reached
would stand in the way until its TTL ends, and whoever wrote it chose the TTL, too.

A leader that was cut off from the others answers, for a moment after it is back, with the end that it knew before. So
one answer makes a value suspicious, and only a second one, given well after a leader learns of its successor, makes it
forged.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from worker.cache.entries import Entry

HighWatermark = Callable[[str, int], int | None]
"""Returns the end of a topic's partition, None where it cannot be told now."""

_CLOCKS_DIFFER_MS: Final = 86_400_000
"""Producers stamp records; one whose clock is a day ahead is believed, as brokers believe it."""
CERTAIN_AFTER_S: Final = 30.0
"""Three times a broker's session with its controllers, after which a leader that was cut off has a successor."""
_MOST_SUSPECTS: Final = 1_000
"""Whoever plants more waits longer to be found, and costs no memory."""


class Stale(NamedTuple):
    """An entry that was not written, and the stored value that the script found to be newer."""

    entry: Entry
    stored: bytes
    topic: str
    partition: str
    offset: str
    timestamp_ms: str
    """As the script read them: any text, where somebody else wrote the value."""


class Forged(NamedTuple):
    """Stored values that claim a record which does not exist."""

    certain: list[Stale]
    """By what they say themselves."""
    by_end: list[Stale]
    """By where a broker says that their partition ends."""


def forged_values(stale: Iterable[Stale], high_watermark: HighWatermark) -> Forged:
    """Return those of the stored values that claim a record which does not exist yet.

    Of the topic that the entry came from, the partition's end decides. Beside another topic or partition only record
    timestamps are compared, so there a timestamp in the future counts.
    """
    ends: dict[tuple[str, int], int | None] = {}

    def end_of(topic: str, partition: int) -> int | None:
        if (topic, partition) not in ends:
            ends[topic, partition] = high_watermark(topic, partition)
        return ends[topic, partition]

    found = Forged([], [])
    for one in stale:
        try:
            partition, offset, timestamp_ms = int(one.partition), int(one.offset), int(one.timestamp_ms)
        except ValueError:
            found.certain.append(one)
            continue
        ours = one.entry.source
        is_compared_by_time = (one.topic, partition) != (ours.topic, ours.partition)
        if is_compared_by_time and timestamp_ms > time.time() * 1_000 + _CLOCKS_DIFFER_MS:
            found.certain.append(one)
        elif one.topic == ours.topic and (end := end_of(ours.topic, partition)) is not None and offset >= end:
            found.by_end.append(one)
    return found


class Suspects:
    """Values that one answer of a broker makes suspicious, until another one settles it.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[float, Stale]] = {}

    def settled(self, asked: Sequence[Entry], suspicious: Iterable[Stale]) -> list[Stale]:
        """Take over an answer, and return the values that were suspicious long enough ago, too.

        Args:
            asked: The entries that were to be written.
            suspicious: The values in their way.
        """
        by_chat, now_s = {one.entry.chat_id: one for one in suspicious}, self._clock()
        certain = []
        with self._lock:
            for chat_id in {entry.chat_id for entry in asked} if self._seen or by_chat else ():
                since_s, before = self._seen.pop(chat_id, (now_s, None))
                one = by_chat.get(chat_id)
                if one is None:
                    continue
                if before is None or before.stored != one.stored:
                    since_s = now_s
                if now_s - since_s >= CERTAIN_AFTER_S:
                    certain.append(one)
                elif len(self._seen) < _MOST_SUSPECTS:
                    self._seen[chat_id] = since_s, one
        return certain

    def due(self) -> list[Entry]:
        """Return the entries whose second question is due."""
        since_s = self._clock() - CERTAIN_AFTER_S
        with self._lock:
            return [one.entry for seen_s, one in self._seen.values() if seen_s <= since_s]
