"""What is asked about: one conversation, from an event as on the wire or from plain text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from console.judging.own_names import with_own_names
from schemas import (
    ChatEvent,
    CodecLimits,
    Message,
    RecordRejected,
    RejectionReason,
    Role,
    Turn,
    event_of,
    kept_turns,
    turns_fingerprint,
    visible_turns,
)

TEXT_FIELDS: Final = ("messages", "query", "formatted_chat")
"""A document that has one of these is an event."""
_TEXT_CHAT: Final = "text-"
"""What precedes a text's fingerprint in the chat_id of a text that names none: the same text is the same chat."""

_FOREIGN: Final = "; this is "
"""Begins what an error says of another program's form."""


@dataclass(frozen=True)
class Asked:
    """One conversation, and what of its event stands in the verdict."""

    chat_id: str
    event_id: str | int | None
    occurred_at: str | float | None
    turns: list[Turn]
    fingerprint: str

    @classmethod
    def of(cls, event: ChatEvent) -> "Asked":
        """Return what an event asks, as the worker would read it.

        Raises:
            RecordRejected: it holds no visible text.
        """
        turns = visible_turns(event)
        return cls(event.chat_id, event.event_id, event.occurred_at, kept_turns(turns), turns_fingerprint(turns))

    @classmethod
    def of_text(cls, text: str, *, chat_id: str | None = None, event_id: str | int | None = None) -> "Asked":
        """Return what a text asks, as the one message of a user.

        Raises:
            RecordRejected: it holds no visible text.
        """
        messages = [Message(role=Role.USER, content=text)]
        asked = cls.of(ChatEvent(chat_id=chat_id or _TEXT_CHAT, event_id=event_id, messages=messages))
        return asked if chat_id else cls(_TEXT_CHAT + asked.fingerprint, event_id, None, asked.turns, asked.fingerprint)


def read_asked(value: object, limits: CodecLimits) -> Asked:
    """Return what one conversation of a request asks: an event, `{"text": …}` or a text.

    Raises:
        RecordRejected: it is none of them.
    """
    if isinstance(value, str):
        return _of_text_object({"text": value})
    if not isinstance(value, dict):
        raise RecordRejected(
            RejectionReason.SCHEMA_ERROR,
            f"a conversation is a {type(value).__name__}; expected an event, an object with text, or a text",
        )
    if "text" in value and not any(name in value for name in TEXT_FIELDS):
        return _of_text_object(value)
    try:
        return Asked.of(read_event(value, limits))
    except RecordRejected as rejection:
        # Who misspelt `text` is told about an event's fields otherwise.
        if not any(name in value for name in TEXT_FIELDS) and _FOREIGN not in rejection.error:
            rejection.error += '; to ask about one text send {"text": "…"}'
        raise


def read_event(value: dict[str, Any], limits: CodecLimits) -> ChatEvent:
    """Return the event that an object is.

    Raises:
        RecordRejected: it is none; a setting that the error names is the console's.
    """
    try:
        return event_of(value, limits)
    except RecordRejected as rejection:
        rejection.error = with_own_names(rejection.error)
        raise


def _of_text_object(value: Mapping[str, Any]) -> Asked:
    text = value["text"]
    if not isinstance(text, str):
        raise RecordRejected(RejectionReason.SCHEMA_ERROR, f"text is a {type(text).__name__}; expected a string")
    chat_id = value.get("chat_id")
    try:
        # The event's own rules say what ids may be.
        ids = {"chat_id": _TEXT_CHAT if chat_id is None else chat_id, "event_id": value.get("event_id")}
        head = read_event(ids, CodecLimits())
        return Asked.of_text(text, chat_id=None if chat_id is None else head.chat_id, event_id=head.event_id)
    except RecordRejected as rejection:
        if chat_id is None:
            rejection.chat_id = None
        raise
