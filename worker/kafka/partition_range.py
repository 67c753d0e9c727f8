"""Offsets of one partition, as they are asked for and as they were fixed.

Replays keep both on their control topic, so that other processes read them as they were written.
"""

from pydantic import BaseModel, ConfigDict

Partition = tuple[str, int]
"""Topic and partition."""


class Frozen(BaseModel):
    """A value that other processes must read as it was written."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Span(Frozen):
    """Offsets of one partition, as asked for: `start` is read, `end` is not; None is the partition's own limit."""

    topic: str
    partition: int
    start: int | None
    end: int | None


class PartitionRange(Frozen):
    """The offsets of one partition: `start` is read, `end` is not."""

    topic: str
    partition: int
    start: int
    end: int
    n_lost: int = 0
    """Offsets asked for that retention had deleted when the range was fixed: at most this many records."""

    @property
    def place(self) -> Partition:
        """Topic and partition."""
        return self.topic, self.partition

    @property
    def n_offsets(self) -> int:
        """Offsets of the range: the most records it can hold."""
        return self.end - self.start
