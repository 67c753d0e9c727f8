"""What one conversation of a request may cost: the same bounds as for a record, alone or in a batch."""

from collections.abc import Iterator

from pydantic_core import to_json

from schemas import CodecLimits, RecordRejected, RejectionReason
from schemas.chat_event import MAX_CHAT_ID_CHARACTERS
from schemas.record_cost import n_values


def oversize(raw: bytes, limits: CodecLimits) -> RecordRejected | None:
    """Return why a conversation is too large, None where it is not.

    Args:
        raw: Its JSON.
        limits: Bounds.
    """
    if len(raw) > limits.max_event_bytes:
        return RecordRejected(
            RejectionReason.TOO_LARGE,
            f"the conversation has {len(raw)} bytes; expected at most {limits.max_event_bytes} "
            "(CONSOLE_CODEC__MAX_EVENT_BYTES)",
        )
    # No document has more values than bytes.
    if len(raw) <= limits.max_event_values:
        return None
    found = n_values(raw, enough=limits.max_event_values)
    if found <= limits.max_event_values:
        return None
    return RecordRejected(
        RejectionReason.TOO_LARGE,
        f"the conversation has {found} JSON values or more; expected at most {limits.max_event_values} "
        "(CONSOLE_CODEC__MAX_EVENT_VALUES); send less in `context` or fewer messages",
    )


def oversize_each(conversations: list[object], raw: bytes, limits: CodecLimits) -> Iterator[RecordRejected | None]:
    """Yield for each conversation of a batch why it is too large, None where it is not.

    Args:
        conversations: As they were parsed; a conversation's bytes are those of its JSON without spaces.
        raw: The batch, which no conversation exceeds.
        limits: Bounds.
    """
    if oversize(raw, limits) is None:
        yield from (None for _ in conversations)
        return
    for conversation in conversations:
        rejection = oversize(to_json(conversation), limits)
        if rejection is not None:
            rejection.chat_id = _chat_id(conversation)
        yield rejection


def _chat_id(conversation: object) -> str | None:
    chat_id = conversation.get("chat_id") if isinstance(conversation, dict) else None
    return chat_id if isinstance(chat_id, str) and 0 < len(chat_id) <= MAX_CHAT_ID_CHARACTERS else None
