"""The outcomes of one chat, as they lie on the output topics. Pure.

Invariant: memory is bounded by the number of outcomes that are kept, whatever the topics hold of the chat; which one is
in force is known of all of them.
"""

import heapq
from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError

from schemas import CodecLimits, DeadLetter, Source, ValueFormat, Verdict, decode_verdict
from schemas.marker import TOMBSTONE
from worker.cache.chats import chat_of, erases
from worker.cache.outcome_order import Outcome, is_newer, verdict_outcome
from worker.kafka.topic_scan import ScannedRecord
from worker.record import Place


class OutcomeKind(StrEnum):
    """What a record of an output topic is."""

    VERDICT = "verdict"
    DEAD_LETTER = "dead_letter"
    TOMBSTONE = "tombstone"
    """The chat is to be forgotten: its record had no value."""
    UNREADABLE = "unreadable"
    """Of a later release, or written by somebody else."""


@dataclass(frozen=True)
class ChatOutcome:
    """One record of an output topic that is about the chat."""

    kind: OutcomeKind
    place: Place
    """Of the output record."""
    published_ms: int
    """Timestamp of the output record, ms since the epoch."""
    verdict: Verdict | None = None
    letter: DeadLetter | None = None

    @property
    def source(self) -> Source | None:
        """The input record that it answers; None where nobody can tell."""
        if self.verdict is not None:
            return self.verdict.source
        if self.letter is None:
            return None
        return Source(
            topic=self.letter.origin_topic,
            partition=self.letter.origin_partition,
            offset=self.letter.origin_offset,
            timestamp_ms=self.letter.origin_timestamp_ms,
        )

    @property
    def ordered(self) -> Outcome | None:
        """What the compare-and-set orders it by; None for what is unreadable."""
        if self.verdict is not None:
            return verdict_outcome(self.verdict, self.place, self.published_ms)
        source = self.source
        if source is None:
            return None
        return Outcome(
            source.topic,
            source.partition,
            source.offset,
            source.timestamp_ms,
            self.place,
            self.published_ms,
            rejected=self.kind.value,
        )


def key_of(chat_id: str) -> bytes:
    """Return the key of a chat's verdicts."""
    return chat_id.encode("utf-8", "surrogatepass")


def verdict_of(record: ScannedRecord, chat_id: str) -> ChatOutcome | None:
    """Return what a record of the verdict topic says of the chat; None where it is about another one."""
    if record.key is not None and record.key != key_of(chat_id):
        return None
    at = (record.place, record.timestamp_ms)
    if record.value is None:
        return ChatOutcome(OutcomeKind.TOMBSTONE, *at) if record.key is not None else None
    try:
        verdict = decode_verdict(record.value)
    except ValidationError:
        return ChatOutcome(OutcomeKind.UNREADABLE, *at) if record.key is not None else None
    return ChatOutcome(OutcomeKind.VERDICT, *at, verdict=verdict) if verdict.chat_id == chat_id else None


def dead_letter_of(
    record: ScannedRecord, chat_id: str, limits: CodecLimits, value_format: ValueFormat = ValueFormat.JSON
) -> ChatOutcome | None:
    """Return what a record of the dead-letter topic says of the chat; None where it is about another one."""
    if chat_of(record.key, record.value, limits, value_format) != chat_id:
        return None
    at = (record.place, record.timestamp_ms)
    try:
        letter = DeadLetter.from_headers(record.headers)
    except ValidationError:
        return ChatOutcome(OutcomeKind.UNREADABLE, *at)
    kind = OutcomeKind.TOMBSTONE if erases(record.value, limits, value_format) else OutcomeKind.DEAD_LETTER
    return ChatOutcome(kind, *at, letter=letter)


def reason_of(outcome: ChatOutcome) -> str | None:
    """Return the reason code of a dead letter or a tombstone; None where it has none."""
    if outcome.kind is OutcomeKind.TOMBSTONE:
        return TOMBSTONE
    return None if outcome.letter is None else outcome.letter.reason.value


class ChatHistory:
    """The newest outcomes of one chat.

    Args:
        limit: How many are kept.
        until_ms: Outcomes published later do not count; None: all do.
    """

    def __init__(self, *, limit: int, until_ms: int | None = None) -> None:
        self._limit = limit
        self._until_ms = until_ms
        self._kept: list[tuple[int, int, Place, ChatOutcome]] = []
        """A heap, the one published first on top."""
        self.in_force: ChatOutcome | None = None
        """The newest by the rule by which the cache takes a value; None where there is none."""
        self.n_found = 0

    def add(self, outcome: ChatOutcome) -> None:
        """Take an outcome; the order does not matter."""
        if self._until_ms is not None and outcome.published_ms > self._until_ms:
            return
        self.n_found += 1
        ordered = outcome.ordered
        newest = None if self.in_force is None else self.in_force.ordered
        if ordered is not None and (newest is None or is_newer(ordered, newest)):
            self.in_force = outcome
        # A transaction has few timestamps; its outcomes are in the order of their records.
        record = -1 if outcome.source is None else outcome.source.offset
        heapq.heappush(self._kept, (outcome.published_ms, record, outcome.place, outcome))
        if len(self._kept) > self._limit:
            heapq.heappop(self._kept)

    @property
    def n_left_out(self) -> int:
        """Outcomes that were found and not kept: the oldest."""
        return self.n_found - len(self._kept)

    def outcomes(self) -> list[ChatOutcome]:
        """Return what is kept, in the order of publication."""
        return [outcome for *_, outcome in sorted(self._kept, key=lambda one: one[:3])]
