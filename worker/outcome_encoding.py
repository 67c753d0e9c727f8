"""How each record of a batch ends, and its message to Kafka: pure.

Invariants: every row ends with exactly one outcome, and `settle` alone decides which; one message per row, in input
order, never larger than its topic accepts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from schemas import DeadLetter, RejectionReason, Verdict, encode_verdict
from schemas.dead_letter import MAX_ERROR_CHARACTERS, Header
from schemas.verdict_headers import NO_HEADERS, VerdictHeaders
from worker.errors import Fatal
from worker.kafka.forwarded_headers import size_of
from worker.record import Place, Record, Rejection, Row

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
    verdict_headers: VerdictHeaders = NO_HEADERS
    """What verdicts carry beside the headers that they carry on."""

    @property
    def verdict_room_bytes(self) -> int:
        """The most bytes that a verdict's value may have."""
        return self.verdict_max_bytes - _HEADER_ROOM_BYTES - self.verdict_headers.max_bytes


class OutgoingMessage(NamedTuple):
    """What is handed to the producer."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]
    place: Place
    """The input record that it answers."""
    verdict: Verdict | None = None
    """What `value` says; None for a dead letter."""
    partition: int | None = None
    """Where it must lie; None: where its key belongs."""


def settle(rows: Iterable[Row], topics: OutputTopics) -> None:
    """Decide how every row ends: with a verdict, then encoded, or as a dead letter.

    A verdict that its topic would refuse becomes a rejection.

    Raises:
        Fatal: a row has no outcome or two; that is a bug that must not be committed.
    """
    limit = topics.verdict_room_bytes
    for row in rows:
        verdict = row.verdict
        if (verdict is None) == (row.rejection is None):
            record = row.record
            raise Fatal(
                f"{record.topic}[{record.partition}]@{record.offset} has "
                f"{'no' if verdict is None else 'two'} outcomes; expected exactly one; "
                "this is a bug, and nothing of the batch is committed"
            )
        if verdict is None:
            continue
        encoded = encode_verdict(verdict)
        if len(encoded) <= limit:
            row.encoded = encoded
            continue
        row.verdict = None
        row.rejection = Rejection(
            RejectionReason.VERDICT_TOO_LARGE,
            f"the verdict has {len(encoded)} bytes; expected at most {limit}, the limit of {topics.verdicts}",
            verdict.chat_id,
        )


def to_messages(rows: Iterable[Row], topics: OutputTopics) -> list[OutgoingMessage]:
    """Return the messages of settled rows, one each, in order."""
    return [_message(row, topics) for row in rows]


def _message(row: Row, topics: OutputTopics) -> OutgoingMessage:
    record, verdict = row.record, row.verdict
    if verdict is None:
        return _dead_letter(record, row.rejection, topics)  # type: ignore[arg-type]  # a settled row has one of them
    key = verdict.chat_id.encode()
    headers = (*record.headers, *topics.verdict_headers.of(verdict))
    return OutgoingMessage(topics.verdicts, key, row.encoded, headers, record.place, verdict)


def _dead_letter(record: Record, rejection: Rejection, topics: OutputTopics) -> OutgoingMessage:
    value, key, source = record.value, record.key, record.source
    taken = _HEADER_ROOM_BYTES + len(key or b"") + size_of(record.headers)
    room = max(0, topics.dead_letter_max_bytes - taken)
    truncated_from = record.origin.truncated_from_bytes if record.origin else None
    if value is not None and len(value) > room:
        truncated_from, value = truncated_from or len(value), value[:room]
    letter = DeadLetter(
        reason=rejection.reason,
        error=rejection.error[:MAX_ERROR_CHARACTERS],
        origin_topic=source.topic,
        origin_partition=source.partition,
        origin_offset=source.offset,
        origin_timestamp_ms=source.timestamp_ms,
        truncated_from_bytes=truncated_from,
    )
    return OutgoingMessage(topics.dead_letters, key, value, [*letter.to_headers(), *record.headers], record.place)


def next_offsets(records: Iterable[Record]) -> dict[tuple[str, int], int]:
    """Return, per partition, the offset after the last record: what the group commits."""
    ends: dict[tuple[str, int], int] = {}
    for record in records:
        place = (record.topic, record.partition)
        ends[place] = max(ends.get(place, 0), record.offset + 1)
    return ends
