"""Which records between the offsets a replay takes. Pure.

A chat is known by the record's key, as the contract says; only where the key names no chat is the value looked into.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from schemas import CodecLimits, DeadLetter, RejectionReason, Source, ValueFormat, chat_of_key
from worker.cache.chats import chat_of
from worker.record import Origin, Record
from worker.replay.plan.request import ReplayRequest


@dataclass
class LookedAt:
    """What this process has read of the range."""

    n_records: int = 0
    """Those read twice, after an abort, count twice."""
    met: set[str] = field(default_factory=set)
    """The chats among those asked for that a record was of."""


@dataclass(frozen=True)
class Selection:
    """The rule of one replay."""

    since_ms: int | None = None
    until_ms: int | None = None
    chats: frozenset[str] = frozenset()
    """Empty: all chats."""
    reasons: frozenset[RejectionReason] = frozenset()
    """Empty: all reasons."""
    limits: CodecLimits = field(default_factory=CodecLimits)
    value_format: ValueFormat = ValueFormat.JSON
    looked_at: LookedAt = field(default_factory=LookedAt)

    @classmethod
    def of(
        cls, request: ReplayRequest, chat_ids: Iterable[str], limits: CodecLimits, value_format: ValueFormat
    ) -> "Selection":
        """Return the rule of a request, whose chat ids are given apart."""
        return cls(
            request.since_ms,
            request.until_ms,
            frozenset(chat_ids),
            frozenset(request.reasons),
            limits,
            value_format,
        )

    def takes(self, record: Record, letter: DeadLetter | None = None) -> bool:
        """Say whether a record is asked for.

        Args:
            record: The record as it was read.
            letter: Of a redrive, the headers of the dead letter; None where it has none.
        """
        self.looked_at.n_records += 1
        if self.since_ms is not None and record.timestamp_ms < self.since_ms:
            return False
        if self.until_ms is not None and record.timestamp_ms >= self.until_ms:
            return False
        if self.reasons and (letter is None or letter.reason not in self.reasons):
            return False
        return not self.chats or self._is_of_chats(record)

    def not_met(self) -> list[str]:
        """Return the chats asked for of which no record was met, sorted."""
        return sorted(self.chats - self.looked_at.met)

    def _is_of_chats(self, record: Record) -> bool:
        named = chat_of_key(record.key)
        chat_id = chat_of(None, record.value, self.limits, self.value_format) if named is None else named
        if chat_id not in self.chats:
            return False
        self.looked_at.met.add(chat_id)
        return True


def dead_letter_of(headers: Sequence[tuple[str, bytes | None]]) -> DeadLetter | None:
    """Return what headers say of a dead letter; None for a record that is none, which is judged as it lies there."""
    try:
        return DeadLetter.from_headers(headers)
    except ValidationError:
        return None


def with_origin(record: Record, letter: DeadLetter | None) -> Record:
    """Return a dead letter as the record that it was."""
    if letter is None:
        return record
    source = Source(
        topic=letter.origin_topic,
        partition=letter.origin_partition,
        offset=letter.origin_offset,
        timestamp_ms=letter.origin_timestamp_ms,
    )
    return record._replace(origin=Origin(source, letter.truncated_from_bytes))
