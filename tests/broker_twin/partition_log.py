"""The log of one partition: records and transaction markers, each with its offset."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from confluent_kafka import KafkaError

Partition = tuple[str, int]
"""Topic and partition."""

_BATCH_HEADER_BYTES = 61

Headers = list[tuple[str, bytes | None]]


class State(Enum):
    """How a transaction stands."""

    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass(eq=False)
class Transaction:
    """What one producer writes as one: partitions it wrote to, and offsets by group."""

    state: State = State.OPEN
    logs: list["PartitionLog"] = field(default_factory=list)
    offsets: dict[str, dict[Partition, tuple[int, str]]] = field(default_factory=dict)

    def end(self, state: State) -> None:
        """End it; each partition that it wrote to gets a marker, which takes an offset."""
        self.state = state
        for log in self.logs:
            log.append(Entry(is_marker=True, transaction=self))


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands at one offset."""

    key: bytes | None = None
    value: bytes | None = None
    headers: Headers | None = None
    timestamp_ms: int = -1
    transaction: Transaction | None = None
    is_marker: bool = False

    def is_visible(self, *, committed_only: bool) -> bool:
        """Say whether a consumer is given it; one of this isolation level."""
        if self.is_marker:
            return False
        return not committed_only or self.transaction is None or self.transaction.state is State.COMMITTED


@dataclass(eq=False)
class PartitionLog:
    """One partition."""

    entries: list[Entry] = field(default_factory=list)
    low: int = 0
    """The first offset that is still there."""
    is_compacted: bool = False
    """Whether `cleanup.policy` is to compact it: a record without a key is refused."""
    max_message_bytes: float = math.inf

    @property
    def high(self) -> int:
        """The offset behind the last entry."""
        return len(self.entries)

    @property
    def stable(self) -> int:
        """The offset of the first record of an open transaction; a read_committed consumer sees nothing behind it."""
        for offset in range(self.low, self.high):
            transaction = self.entries[offset].transaction
            if transaction is not None and transaction.state is State.OPEN:
                return offset
        return self.high

    def refusal(self, entry: Entry) -> int | None:
        """Return the error code with which a record is refused; None where it is taken."""
        if self.is_compacted and entry.key is None:
            return int(KafkaError.INVALID_RECORD)
        n_bytes = _BATCH_HEADER_BYTES + len(entry.key or b"") + len(entry.value or b"")
        is_large = n_bytes > self.max_message_bytes
        return int(KafkaError.MSG_SIZE_TOO_LARGE) if is_large else None

    def append(self, entry: Entry) -> int:
        """Write an entry; return its offset."""
        transaction = entry.transaction
        if transaction is not None and self not in transaction.logs:
            transaction.logs.append(self)
        self.entries.append(entry)
        return self.high - 1

    def read(self, start: int, *, committed_only: bool) -> Iterator[tuple[int, Entry]]:
        """Yield what a consumer sees from an offset on."""
        end = self.stable if committed_only else self.high
        for offset in range(max(start, self.low), end):
            entry = self.entries[offset]
            if entry.is_visible(committed_only=committed_only):
                yield offset, entry
