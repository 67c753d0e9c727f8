"""How far this process has come in each partition it owns. Pure.

The frontier is the offset before which everything was read or is known to hold no record: compaction, transaction
markers and aborted transactions leave offsets behind under which nothing ever comes. A commit names the frontier that
belonged to its batch, which may lie behind its last record, and the tally up to there.

Invariant: a mark is set in the loop's thread for each batch before its commit starts, and read by that commit alone.
"""

from dataclasses import dataclass, field, replace

from worker.errors import Fatal
from worker.kafka.partition_range import Partition, PartitionRange
from worker.moves.counts import Outcomes
from worker.record import Record
from worker.replay.report.tally import Reading, Tally


@dataclass
class PartitionProgress:
    """One owned partition."""

    span: PartitionRange
    committed: int
    """Next offset to read, as the group knows it."""
    outcomes: Outcomes = field(default_factory=Outcomes)
    """Up to the committed offset."""
    reading: Reading = field(default_factory=Reading)
    """Up to the frontier."""
    frontier: int = 0
    marks: dict[int, tuple[int, Reading]] = field(default_factory=dict)
    """By the offset behind a batch's last record: the frontier and the reading when the batch was handed out."""

    def __post_init__(self) -> None:
        self.frontier = self.committed

    @classmethod
    def resumed(cls, span: PartitionRange, committed: int, tally: Tally) -> "PartitionProgress":
        """Go on where the group's committed offset and its tally say."""
        return cls(span, committed, tally.outcomes, tally.reading)

    @property
    def is_read(self) -> bool:
        """Whether nothing is left to read."""
        return self.frontier >= self.span.end

    @property
    def is_committed(self) -> bool:
        """Whether all that was read is committed."""
        return self.committed >= self.frontier

    @property
    def n_left(self) -> int:
        """Offsets left to read."""
        return max(0, self.span.end - self.frontier)

    def pass_record(self, offset: int, *, taken: bool) -> bool:
        """Move over one record; return whether it lies in the range and was not passed before."""
        if offset < self.frontier:
            return False
        if offset >= self.span.end:
            self.frontier = self.span.end
            return False
        reading = self.reading
        if taken:
            self.reading = replace(reading, n_read=reading.n_read + 1)
        else:
            self.reading = replace(reading, n_skipped=reading.n_skipped + 1)
        self.frontier = offset + 1
        return True

    def pass_to(self, offset: int) -> None:
        """Move over offsets that hold no record."""
        self.frontier = max(self.frontier, min(offset, self.span.end))

    def lose_to(self, offset: int) -> int:
        """Move over offsets that retention has deleted; return how many."""
        n_lost = max(0, min(offset, self.span.end) - self.frontier)
        self.reading = replace(self.reading, n_lost=self.reading.n_lost + n_lost)
        self.frontier += n_lost
        return n_lost

    def mark(self, next_offset: int) -> None:
        """Note what a batch that ends before this offset may commit."""
        self.marks[next_offset] = (self.frontier, self.reading)

    def settled(self, next_offset: int, batch: Outcomes) -> tuple[int, Tally]:
        """Return the offset and the tally to commit with a batch.

        Raises:
            Fatal: records read and outcomes published do not balance; nothing of the batch may be committed.
        """
        frontier, reading = self.marks.pop(next_offset)
        tally = Tally(reading, self.outcomes + batch)
        if not tally.balances:
            raise Fatal(
                f"{self.span.topic}[{self.span.partition}] before {frontier}: {reading.n_read} records read, but "
                f"{tally.outcomes.n_verdicts} verdicts and {tally.outcomes.n_dead_letters} dead letters; expected as "
                "many; this is a bug, and nothing of the batch is committed"
            )
        return frontier, tally


Progress = dict[Partition, PartitionProgress]
"""The owned partitions of the plan."""


def mark_batch(progress: Progress, taken: list[Record]) -> None:
    """Note, for every partition of a batch, what may be committed with it."""
    ends = {(record.topic, record.partition): record.offset + 1 for record in taken}
    for place, next_offset in ends.items():
        progress[place].mark(next_offset)
