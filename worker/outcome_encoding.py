"""Outcomes to Kafka messages: pure. One message per record, in input order, never larger than its topic accepts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from schemas import DeadLetter, RejectionReason, encode_verdict
from schemas.dead_letter import MAX_ERROR_CHARACTERS, Header
from worker.kafka.forwarded_headers import size_of
from worker.record import Judged, Outcome, Place, Record, Rejected

_HEADER_ROOM_BYTES = 5_000
"""Room below a topic's limit for a dead letter's own headers (an error of up to 4,000 bytes, names, numbers), or for a
verdict's key and the headers that it carries on."""


@dataclass(frozen=True)
class OutputTopics:
    """Names and limits of the output topics."""

    verdicts: str
    dead_letters: str
    verdict_max_bytes: int
    dead_letter_max_bytes: int


class OutgoingMessage(NamedTuple):
    """What is handed to the producer."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]
    place: Place
    """The input record that it answers."""


def to_messages(outcomes: Iterable[Outcome], topics: OutputTopics) -> tuple[list[OutgoingMessage], list[Outcome]]:
    """Encode outcomes.

    Returns:
        One message per outcome, in order, and the outcomes as they really end: a verdict that its topic would refuse
        ends as a dead letter.
    """
    messages: list[OutgoingMessage] = []
    final: list[Outcome] = []
    for outcome in outcomes:
        ending: Outcome = outcome
        if isinstance(outcome, Judged):
            value = encode_verdict(outcome.verdict)
            if len(value) <= topics.verdict_max_bytes - _HEADER_ROOM_BYTES:
                key = outcome.verdict.chat_id.encode()
                messages.append(
                    OutgoingMessage(topics.verdicts, key, value, outcome.record.headers, outcome.record.place)
                )
                final.append(outcome)
                continue
            ending = Rejected(
                outcome.record,
                RejectionReason.VERDICT_TOO_LARGE,
                f"the verdict has {len(value)} bytes; expected at most "
                f"{topics.verdict_max_bytes - _HEADER_ROOM_BYTES}, the limit of {topics.verdicts}",
                outcome.verdict.chat_id,
            )
        messages.append(_dead_letter(ending, topics))  # type: ignore[arg-type]  # only a Rejected comes here
        final.append(ending)
    return messages, final


def _dead_letter(rejected: Rejected, topics: OutputTopics) -> OutgoingMessage:
    record, source = rejected.record, rejected.record.source
    value, key = record.value, record.key
    taken = _HEADER_ROOM_BYTES + len(key or b"") + size_of(record.headers)
    room = max(0, topics.dead_letter_max_bytes - taken)
    truncated_from = record.origin.truncated_from_bytes if record.origin else None
    if value is not None and len(value) > room:
        truncated_from, value = truncated_from or len(value), value[:room]
    letter = DeadLetter(
        reason=rejected.reason,
        error=rejected.error[:MAX_ERROR_CHARACTERS],
        origin_topic=source.topic,
        origin_partition=source.partition,
        origin_offset=source.offset,
        origin_timestamp_ms=source.timestamp_ms,
        truncated_from_bytes=truncated_from,
    )
    return OutgoingMessage(topics.dead_letters, key, value, [*letter.to_headers(), *record.headers], record.place)


def next_offsets(records: Sequence[Record]) -> dict[tuple[str, int], int]:
    """Return, per partition, the offset after the last record: what the group commits."""
    ends: dict[tuple[str, int], int] = {}
    for record in records:
        place = (record.topic, record.partition)
        ends[place] = max(ends.get(place, 0), record.offset + 1)
    return ends
