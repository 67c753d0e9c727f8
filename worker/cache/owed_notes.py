"""What stands beside the committed offsets: from where on the cache is owed what became of the records.

Kafka keeps the text in the transaction of the offset, so that whoever owns the partition next knows what its
predecessor, dead or alive, had not written into Redis.

Invariant: an offset is committed for its note alone only where the group has just that offset and this member owns the
partition; anything else would read records twice.
"""

from collections.abc import Mapping
from typing import Final, Protocol

import orjson

from worker.cache.owed_entries import OwedRange, Partition

_VERSION: Final = 1


class Debtor(Protocol):
    """The cache that owes."""

    def owed_from(self) -> Mapping[Partition, int]:
        """Return, per input partition, the lowest offset whose entry is owed."""

    def owe_range(self, owed: OwedRange) -> None:
        """Take over a debt that somebody else left behind."""


def to_note(owed_from: int) -> str:
    """Return the note of a partition whose lowest owed input offset is this."""
    return orjson.dumps({"version": _VERSION, "owed_from": owed_from}).decode()


def from_note(text: str | None) -> int | None:
    """Return the lowest owed input offset; None where nothing is owed or the note is not one of ours."""
    if not text:
        return None
    try:
        note = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(note, dict) or note.get("version") != _VERSION:
        return None
    owed_from = note.get("owed_from")
    return owed_from if type(owed_from) is int and owed_from >= 0 else None


class OwedNotes:
    """The notes of the partitions that this worker owns.

    Args:
        cache: Knows what is owed.
    """

    def __init__(self, cache: Debtor) -> None:
        self._cache = cache
        self._committed: dict[Partition, tuple[int, str]] = {}
        self._found: dict[Partition, tuple[int, str]] = {}
        """Of partitions whose debts are not taken over yet: a commit in between must not take their notes away."""

    def found(self, place: Partition, offset: int, note: str | None) -> None:
        """Take what the group has committed for a partition of this worker."""
        (self._committed if place in self._committed else self._found)[place] = (offset, note or "")

    def take_over(self, place: Partition, start: int) -> None:
        """Owe what the partition's last owner left owed, up to where this one begins to judge.

        A topic that was made again starts before the committed offset, and ends there, too.
        """
        offset, note = self._found.get(place) or self._committed.get(place, (0, ""))
        owed_from, end = from_note(note), min(offset, start)
        if owed_from is not None and owed_from < end:
            self._cache.owe_range(OwedRange(*place, owed_from, end))
        if (found := self._found.pop(place, None)) is not None:
            self._committed[place] = found

    def released(self, place: Partition) -> None:
        """Take that the partition belongs to somebody else now."""
        self._committed.pop(place, None)
        self._found.pop(place, None)

    def beside(self, offsets: Mapping[Partition, int]) -> dict[Partition, str]:
        """Return the notes to commit with these offsets; none where nothing before them is owed.

        What is owed of records behind them no successor has to mend: it judges those itself.
        """
        owed_from = self._cache.owed_from()
        return {
            place: to_note(owed_from[place])
            for place, offset in offsets.items()
            if owed_from.get(place, offset) < offset
        }

    def committed(self, offsets: Mapping[Partition, int], notes: Mapping[Partition, str]) -> None:
        """Take what was just committed."""
        for place, offset in offsets.items():
            self._committed[place] = (offset, notes.get(place, ""))

    def outdated(self) -> dict[Partition, int]:
        """Return the committed offsets whose notes say too little, or name a debt that was paid since.

        A note that names an offset below what is owed now still covers it and stays as it is.
        """
        owed_from = self._cache.owed_from()
        offsets: dict[Partition, int] = {}
        for place, (offset, note) in list(self._committed.items()):
            noted, owed = from_note(note), owed_from.get(place)
            is_owed = owed is not None and owed < offset
            is_covered = noted is not None and (owed is None or noted <= owed)
            if is_owed != (noted is not None) or (is_owed and not is_covered):
                offsets[place] = offset
        return offsets
