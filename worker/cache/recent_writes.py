"""Entries that Redis took a short while ago: a promoted replica may never have got them. Pure, bounded.

Replication is asynchronous, so that what the old master acknowledged may be gone with it.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice

from worker.cache.entries import Entry
from worker.cache.owed_entries import Line, OwedRange, Partition, partition_of
from worker.cache.owed_writes import ENTRY_BYTES, size_bytes


class RecentWrites:
    """The newest entry of each line within the last seconds.

    Args:
        keep_s: How long an entry is kept.
        max_bytes: Memory; of what does not fit the offsets are kept.
    """

    def __init__(self, *, keep_s: float, max_bytes: int) -> None:
        self._keep_s = keep_s
        self._max_bytes = max_bytes
        self._kept: dict[Line, tuple[Entry, float]] = {}
        self._spilled: dict[Partition, deque[tuple[int, int, int]]] = {}
        self.n_bytes = 0
        """Memory of the entries."""
        self.ages = True
        """Whether time makes entries go; not while it is in doubt what became of them."""

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, entries: Iterable[Entry], now_s: float) -> None:
        """Remember entries that Redis has just taken; `now_s` is monotonic."""
        n_bytes = self.n_bytes
        # Every verdict of the worker comes by here, so that a call per entry would cost as much as all the rest.
        for chat_id, value, source, _, rejected, ttl_s in entries:
            line = (chat_id, source.topic, source.partition)
            before = self._kept.pop(line, None)
            if before is not None:
                n_bytes -= len(before[0].value) + ENTRY_BYTES
            # At the end: a dict begins with what was inserted first. Without the decoded verdict, which takes ten times
            # the memory.
            self._kept[line] = (Entry(chat_id, value, source, None, rejected, ttl_s), now_s)
            n_bytes += len(value) + ENTRY_BYTES
        self.n_bytes = n_bytes
        self.prune(now_s)

    def prune(self, now_s: float) -> None:
        """Forget what is too old, and keep only the offsets of what is too much."""
        while self._kept:
            line = next(iter(self._kept))
            entry, at_s = self._kept[line]
            is_old = self.ages and at_s < now_s - self._keep_s
            if not is_old and self.n_bytes <= self._max_bytes:
                break
            del self._kept[line]
            self.n_bytes -= size_bytes(entry)
            if not is_old:
                self._spill(entry, at_s)
        if self._spilled and self.ages:
            self._prune_spilled(now_s)

    def _spill(self, entry: Entry, at_s: float) -> None:
        seconds = self._spilled.setdefault(partition_of(entry), deque())
        second, offset = int(at_s), entry.source.offset
        # In a long doubt one range grows, and not their number.
        if seconds and (seconds[-1][0] == second or not self.ages):
            _, start, end = seconds.pop()
            seconds.append((second, min(start, offset), max(end, offset + 1)))
        else:
            seconds.append((second, offset, offset + 1))

    def _prune_spilled(self, now_s: float) -> None:
        for place, seconds in list(self._spilled.items()):
            while seconds and seconds[0][0] + 1 < now_s - self._keep_s:
                seconds.popleft()
            if not seconds:
                del self._spilled[place]

    def newest(self, n_entries: int) -> list[Entry]:
        """Return the entries that were taken last, the last one first."""
        return [entry for entry, _ in islice(reversed(self._kept.values()), n_entries)]

    def lowest_offsets(self) -> Mapping[Partition, int]:
        """Return, per partition, the lowest offset among them."""
        lowest = {place: min(start for _, start, _ in seconds) for place, seconds in self._spilled.items()}
        for entry, _ in self._kept.values():
            place, offset = partition_of(entry), entry.source.offset
            if offset < lowest.get(place, offset + 1):
                lowest[place] = offset
        return lowest

    def take(self, now_s: float) -> tuple[list[Entry], list[OwedRange]]:
        """Return and forget all: the entries, oldest first, and the offsets of those that did not fit."""
        self.prune(now_s)
        entries = [entry for entry, _ in self._kept.values()]
        ranges = [
            OwedRange(*place, min(start for _, start, _ in seconds), max(end for _, _, end in seconds))
            for place, seconds in self._spilled.items()
        ]
        self._kept, self._spilled, self.n_bytes = {}, {}, 0
        return entries, ranges
