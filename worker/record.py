"""Records as Kafka gives them, and the row of each in its batch: an event, then a verdict or a rejection."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from model import Classification
from schemas import ChatEvent, RejectionReason, Source, Turn, Verdict, chat_of_key

Place = tuple[str, int, int]
"""Topic, partition and offset: what names a record."""

_EARLIEST_MS: Final = 1_293_840_000_000
"""2011, Kafka's first year. What is earlier are seconds, or milliseconds since something else."""
_LATEST_MS: Final = 4_102_444_800_000
"""2100. What is later are microseconds or nanoseconds."""


class Origin(NamedTuple):
    """Where a dead letter that is judged again came from."""

    source: Source
    truncated_from_bytes: int | None = None
    """Size of the record before its value was cut to fit the dead-letter topic."""


class Record(NamedTuple):
    """One input record, detached from the client library."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    """Record timestamp as it came, ms since the epoch; -1 where the record has none. Ages go by `written_ms`."""
    key: bytes | None
    value: bytes | None
    origin: Origin | None = None
    """Set where this is a dead letter: outcomes answer the record it was, offsets count where it was read."""
    headers: tuple[tuple[str, bytes], ...] = ()
    """What goes on to the outcome, see `worker.kafka.forwarded_headers`; bounded, each name once."""

    @property
    def place(self) -> Place:
        """The name of the record as it was read."""
        return self.topic, self.partition, self.offset

    @property
    def written_ms(self) -> int | None:
        """When it was written, ms since the epoch; None where it has no timestamp, or one that can be no such time."""
        return self.timestamp_ms if _EARLIEST_MS <= self.timestamp_ms < _LATEST_MS else None

    @property
    def source(self) -> Source:
        """The record as a verdict or a dead letter names it."""
        if self.origin is not None:
            return self.origin.source
        return Source(
            topic=self.topic,
            partition=self.partition,
            offset=self.offset,
            timestamp_ms=self.timestamp_ms,
        )


@dataclass(frozen=True, slots=True)
class Event:
    """A decoded record."""

    record: Record
    chat: ChatEvent
    """Without its messages: `turns` is what is kept of them."""
    turns: list[Turn]
    fingerprint: str
    longest_message: int
    """Characters of the user's longest message, whole."""
    holds_unread: bool = False
    """Whether its messages hold pictures, sound or files."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a record will be dead-lettered."""

    reason: RejectionReason
    error: str
    chat_id: str | None = None
    """The chat, where the record still tells which one it is of."""
    erases: bool = False
    """Whether the record asks that its chat be forgotten: a tombstone, or what is taken for one."""


@dataclass(slots=True)
class Row:
    """One record of a batch and what is known of it so far; each step of the loop fills in its part.

    It ends with either a verdict and its encoding or a rejection: `worker.outcome_encoding.settle`.
    """

    record: Record
    event: Event | None = None
    """None where the record could not be decoded."""
    rejection: Rejection | None = None
    reading: Classification | Verdict | None = None
    """Where its probabilities come from: the classifier, or a cached verdict that is believed."""
    verdict: Verdict | None = None
    encoded: bytes | None = None
    """The verdict as JSON, once the outcome is settled."""


def rejected_chat(record: Record, rejection: Rejection) -> str | None:
    """Return the chat of a rejected record: what its value says, else its key; None where nobody can tell."""
    return rejection.chat_id if rejection.chat_id is not None else chat_of_key(record.key)


def erased_chat(row: Row) -> str | None:
    """Return the chat that a record asks to be forgotten; None where it asks for none, or nobody can tell which."""
    rejection = row.rejection
    return None if rejection is None or not rejection.erases else rejected_chat(row.record, rejection)
