"""Output records to outcomes. Pure."""

from pydantic import ValidationError

from schemas import CodecLimits, DeadLetter, ValueFormat, decode_verdict
from schemas.marker import TOMBSTONE
from worker.cache.chats import chat_of, erases
from worker.cache.outcome_order import Outcome, verdict_outcome
from worker.kafka.topic_scan import ScannedRecord


class UnreadableOutcome(Exception):  # noqa: N818  the name says what was found
    """A record of an output topic that this version cannot read.

    Args:
        chat_id: The chat that its key names; None where it names none.
    """

    def __init__(self, chat_id: str | None) -> None:
        super().__init__("unreadable")
        self.chat_id = chat_id


def outcome_of_verdict(record: ScannedRecord, limits: CodecLimits) -> tuple[str, Outcome]:
    """Return the chat and what a record of the verdict topic says of it.

    Raises:
        UnreadableOutcome: it is not a Verdict.
    """
    try:
        verdict = decode_verdict(record.value or b"")
    except ValidationError:
        raise UnreadableOutcome(chat_of(record.key, None, limits, ValueFormat.JSON)) from None
    return verdict.chat_id, verdict_outcome(verdict, record.place, record.timestamp_ms)


def outcome_of_dead_letter(
    record: ScannedRecord, limits: CodecLimits, value_format: ValueFormat = ValueFormat.JSON
) -> tuple[str, Outcome] | None:
    """Return the chat and what a dead letter says of it; None where nobody can tell which chat it is of.

    Raises:
        UnreadableOutcome: its headers are not those of a dead letter.
    """
    chat_id = chat_of(record.key, record.value, limits, value_format)
    try:
        letter = DeadLetter.from_headers(record.headers)
    except ValidationError:
        raise UnreadableOutcome(chat_id) from None
    if chat_id is None:
        return None
    return chat_id, Outcome(
        letter.origin_topic,
        letter.origin_partition,
        letter.origin_offset,
        letter.origin_timestamp_ms,
        record.place,
        record.timestamp_ms,
        rejected=TOMBSTONE if erases(record.value, limits, value_format) else letter.reason.value,
    )
