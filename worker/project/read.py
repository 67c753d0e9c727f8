"""Output records to outcomes. Pure."""

from confluent_kafka import Message
from pydantic import ValidationError

from schemas import CodecLimits, DeadLetter, decode_verdict
from schemas.marker import TOMBSTONE
from worker.cache.chats import chat_of
from worker.kafka.forwarded_headers import headers_of
from worker.project.merge import Outcome, Place, Versions


class UnreadableOutcome(Exception):  # noqa: N818  the name says what was found
    """A record of an output topic that this version cannot read.

    Args:
        chat_id: The chat that its key names; None where it names none.
    """

    def __init__(self, chat_id: str | None) -> None:
        super().__init__("unreadable")
        self.chat_id = chat_id


def place_of(message: Message) -> Place:
    """Return where a record lies."""
    return str(message.topic()), message.partition() or 0, message.offset() or 0


def outcome_of_verdict(message: Message, limits: CodecLimits) -> tuple[str, Outcome]:
    """Return the chat and what a record of the verdict topic says of it.

    Raises:
        UnreadableOutcome: it is not a Verdict.
    """
    try:
        verdict = decode_verdict(message.value() or b"")
    except ValidationError:
        raise UnreadableOutcome(chat_of(message.key(), None, limits)) from None
    source, model, policy = verdict.source, verdict.model, verdict.policy
    versions = Versions(model.name, model.version, policy.name, policy.version)
    return verdict.chat_id, Outcome(
        source.topic,
        source.partition,
        source.offset,
        source.timestamp_ms,
        place_of(message),
        message.timestamp()[1],
        versions=versions,
    )


def outcome_of_dead_letter(message: Message, limits: CodecLimits) -> tuple[str, Outcome] | None:
    """Return the chat and what a dead letter says of it; None where nobody can tell which chat it is of.

    Raises:
        UnreadableOutcome: its headers are not those of a dead letter.
    """
    chat_id = chat_of(message.key(), message.value(), limits)
    try:
        letter = DeadLetter.from_headers(headers_of(message) or ())
    except ValidationError:
        raise UnreadableOutcome(chat_id) from None
    if chat_id is None:
        return None
    return chat_id, Outcome(
        letter.origin_topic,
        letter.origin_partition,
        letter.origin_offset,
        letter.origin_timestamp_ms,
        place_of(message),
        message.timestamp()[1],
        rejected=TOMBSTONE if message.value() is None else letter.reason.value,
    )
