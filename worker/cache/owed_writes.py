"""Cache writes that are owed: what Redis did not take, or may have lost. Pure, bounded, not shared between threads.

Invariant: of every entry that was added and not settled, something stays until it is: the newest entry of its line;
where the bytes do not suffice, a marker in its place; where the chats do not suffice either, the offset in its
partition.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from worker.cache.entries import Entry
from worker.cache.owed_entries import Line, OwedRange, Partition, line_of, owed_entry, partition_of

ENTRY_BYTES: Final = 900
"""What an entry takes beside its value: key, source, tuples and dict (by tracemalloc 914, of a recent one 882)."""


class _Owed(NamedTuple):
    entry: Entry
    since_s: float
    """Since when the line is behind, monotonic."""


class OwedWrites:
    """The entries that are owed, oldest debt first.

    Args:
        max_bytes: Memory; beyond it a chat keeps a marker only.
        max_chats: Entries; beyond it only the offsets are kept.
    """

    def __init__(self, *, max_bytes: int, max_chats: int) -> None:
        self._max_bytes = max_bytes
        self._max_chats = max_chats
        self._owed: dict[Line, _Owed] = {}
        self._ranges: dict[Partition, tuple[int, int, float]] = {}
        self.n_bytes = 0
        """Memory of the entries."""
        self.n_markers_made = 0
        """Entries that were replaced by a marker, ever."""
        self.n_forgotten = 0
        """Entries of which only the offset was kept, ever."""

    def __len__(self) -> int:
        return len(self._owed)

    def __bool__(self) -> bool:
        return bool(self._owed or self._ranges)

    def add(self, entries: Iterable[Entry], now_s: float) -> None:
        """Owe these entries; within a line the newer one stays.

        Args:
            entries: What Redis should hold.
            now_s: Monotonic time.
        """
        for entry in entries:
            line = line_of(entry)
            there = self._owed.get(line)
            if there is None:
                if len(self._owed) >= self._max_chats:
                    self.n_forgotten += 1
                    offset = entry.source.offset
                    self.add_range(OwedRange(*partition_of(entry), offset, offset + 1), now_s)
                    continue
                self._set(line, entry, now_s)
            # The same record may come again with a newer model's verdict.
            elif there.entry.source.offset <= entry.source.offset:
                self.n_bytes -= size_bytes(there.entry)
                self._set(line, entry, there.since_s)

    def _set(self, line: Line, entry: Entry, since_s: float) -> None:
        # Decoded it would take ten times the memory; nobody reads it here.
        kept = entry._replace(verdict=None)
        if self.n_bytes + size_bytes(kept) > self._max_bytes:
            kept = owed_entry(entry.chat_id, entry.source)
            self.n_markers_made += 1
        self._owed[line] = _Owed(kept, since_s)
        self.n_bytes += size_bytes(kept)

    def add_range(self, owed: OwedRange, now_s: float) -> None:
        """Owe whatever the records of these offsets became."""
        place = (owed.topic, owed.partition)
        start, end, since_s = self._ranges.get(place, (owed.start, owed.end, now_s))
        self._ranges[place] = (min(start, owed.start), max(end, owed.end), since_s)

    def head(self, n_entries: int) -> list[Entry]:
        """Return the entries that have been owed for longest."""
        return [one.entry for one in islice(self._owed.values(), n_entries)]

    def settle(self, written: Sequence[Entry]) -> None:
        """Forget the debts that these entries, which Redis has taken, have paid."""
        for entry in written:
            line = line_of(entry)
            there = self._owed.get(line)
            if there is not None and there.entry.source.offset <= entry.source.offset:
                self.n_bytes -= size_bytes(there.entry)
                del self._owed[line]

    def ranges(self) -> list[OwedRange]:
        """Return the offsets that are owed as such."""
        return [OwedRange(*place, start, end) for place, (start, end, _) in self._ranges.items()]

    def settle_range(self, paid: OwedRange) -> None:
        """Forget these offsets, unless more were added to them meanwhile."""
        place = (paid.topic, paid.partition)
        if self._ranges.get(place, ())[:2] == (paid.start, paid.end):
            del self._ranges[place]

    def lowest_offsets(self) -> Mapping[Partition, int]:
        """Return, per partition, the lowest offset whose entry is owed."""
        lowest: dict[Partition, int] = {place: start for place, (start, _, _) in self._ranges.items()}
        for owed in self._owed.values():
            place, offset = partition_of(owed.entry), owed.entry.source.offset
            if offset < lowest.get(place, offset + 1):
                lowest[place] = offset
        return lowest

    def oldest_since_s(self) -> float | None:
        """Return since when the oldest debt stands, monotonic; None where nothing is owed."""
        starts = [since_s for _, _, since_s in self._ranges.values()]
        # A replaced entry keeps its place and its time, so that the first is the oldest.
        starts += [owed.since_s for owed in islice(self._owed.values(), 1)]
        return min(starts, default=None)


def size_bytes(entry: Entry) -> int:
    """Return what an entry counts for."""
    return len(entry.value) + ENTRY_BYTES
