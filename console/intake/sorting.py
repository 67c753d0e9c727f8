"""What records hold, sorted by what is done with it. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import ValidationError

from console.intake.topics import Kind
from console.review.arriving import counts_of, hour_of, is_answered_by
from console.store.counting import Counted
from schemas import DeadLetter, Review, Verdict, decode_review, decode_verdict
from schemas.erasure import decode_erasure


class TopicRecord(Protocol):
    """A record as a reader of a topic has it."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    value: bytes | None

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Its headers."""


@dataclass
class Sorted:
    """What some records hold."""

    reviews: list[Review] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    """Of which samples are drawn."""
    overrides: list[Verdict] = field(default_factory=list)
    """People's words after which no policy asks any longer."""
    erased: dict[str, int] = field(default_factory=dict)
    """By keyed hash when the erasure was asked for, milliseconds."""
    counts: Counter[Counted] = field(default_factory=Counter)
    malformed: list[TopicRecord] = field(default_factory=list)
    """Not what their topic should hold."""


def sort_out(records: Iterable[TopicRecord], topics: Mapping[str, Kind]) -> Sorted:
    """Return what records hold; one that is not what its topic should hold is counted and left behind.

    Args:
        records: In the order of their partitions.
        topics: What each topic holds.
    """
    into = Sorted()
    for record in records:
        kind = topics[record.topic]
        try:
            _TAKE[kind](into, record)
        # A time that no clock shows cannot be told as milliseconds.
        except (ValidationError, OverflowError, ValueError):
            into.malformed.append(record)
            into.counts[Counted(hour_of(max(0, record.timestamp_ms)), "malformed", "", kind.value)] += 1
    return into


def _take_review(into: Sorted, record: TopicRecord) -> None:
    if record.value is not None:
        into.reviews.append(decode_review(record.value))


def _take_verdict(into: Sorted, record: TopicRecord) -> None:
    if record.value is None:
        return
    verdict = decode_verdict(record.value)
    into.counts.update(counts_of(verdict))
    into.verdicts.append(verdict)
    if is_answered_by(verdict):
        into.overrides.append(verdict)


def _take_letter(into: Sorted, record: TopicRecord) -> None:
    letter = DeadLetter.from_headers(record.headers)
    into.counts[Counted(hour_of(max(0, record.timestamp_ms)), "letter", "", letter.reason.value)] += 1


def _take_erasure(into: Sorted, record: TopicRecord) -> None:
    # A tombstone here only tidies the list: nobody becomes unerased.
    if record.value is None:
        return
    erasure = decode_erasure(record.value)
    at_ms = round(erasure.erased_at.timestamp() * 1_000)
    into.erased[erasure.chat_hash] = max(at_ms, into.erased.get(erasure.chat_hash, 0))


_TAKE: Mapping[Kind, Callable[[Sorted, TopicRecord], None]] = {
    Kind.REVIEWS: _take_review,
    Kind.VERDICTS: _take_verdict,
    Kind.LETTERS: _take_letter,
    Kind.ERASURES: _take_erasure,
}
