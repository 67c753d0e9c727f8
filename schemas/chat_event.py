"""The chat event as upstream sends it.

Unknown fields are ignored, so that upstream may add fields before we know them; known fields of a
wrong type reject the record, because a guess about moderation input is worse than a dead letter.
"""

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, FailFast, Field

from schemas.content import Content

EVENT_SCHEMA_VERSION: Final = 1
"""The one major version of ChatEvent this code reads; an event without one is of this version."""

MAX_CHAT_ID_CHARACTERS: Final = 256
MAX_CARRIED_CHARACTERS: Final = 256
"""Longer values of fields that are only carried are cut."""
MAX_CARRIED_NUMBER: Final = 2**53 - 1
"""Larger numbers are carried as text: readers that hold numbers as doubles would change them (RFC 7493)."""


class Role(StrEnum):
    """Who wrote a message."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    DEVELOPER = "developer"
    """What newer APIs call system."""
    TOOL = "tool"
    """The result of a call."""
    FUNCTION = "function"
    """What older APIs call tool."""


RESULTS_OF_TOOLS: Final = frozenset({Role.TOOL, Role.FUNCTION})
"""Roles of what no person and no model wrote: context of the conversation."""


def _is_there(_value: object) -> bool:
    return True


def _content_where_missing(message: dict[str, Any]) -> object:
    """Return no text for a message that only calls tools; elsewhere what no content is, so that it is refused."""
    return "" if message.get("tool_calls") else NO_CONTENT


NO_CONTENT: Final = object()
"""Stands in a validation error for a content that is missing."""


class Message(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        json_schema_extra={"anyOf": [{"required": ["role", name]} for name in ("content", "tool_calls")]},
    )

    role: Role
    tool_calls: Annotated[bool, BeforeValidator(_is_there, json_schema_input_type=Any)] = Field(
        default=False,
        description="Not read; a message that has them needs no content.",
        json_schema_extra={"default": None},
    )
    content: Content = Field(default_factory=_content_where_missing, validate_default=True)
    id: Any = Field(default=None, description="Not read, and of any type.")
    created_at: Any = Field(
        default=None,
        validation_alias=AliasChoices("createdAt", "created_at"),
        serialization_alias="createdAt",
        description="Not read, and of any type.",
    )


def _null_is_empty(value: object) -> object:
    """Read a null list as an empty one: serialisers differ on how they write "no messages"."""
    return [] if value is None else value


def _as_carried(value: object) -> object:
    """Return a value that is only carried as it travels on; what is neither text nor number is left to the field."""
    if isinstance(value, str):
        return value[:MAX_CARRIED_CHARACTERS]
    if isinstance(value, int | float) and not -MAX_CARRIED_NUMBER <= value <= MAX_CARRIED_NUMBER:
        return str(value)[:MAX_CARRIED_CHARACTERS]
    return value


def _clock(value: object) -> object:
    """Return an event's clock as it travels on; nothing where it is neither text nor number."""
    return _as_carried(value) if isinstance(value, str | int | float) else None


def _event_id(value: object) -> object:
    """Return an event's id as it travels on: a fraction as text, nothing where it is neither text nor number."""
    carried = _clock(value)
    return str(carried) if isinstance(carried, float) and not carried.is_integer() else carried


def carried_text(value: object) -> object:
    """Return a carried value as one type for all readers: a number as its digits, a long text cut.

    What is neither text nor number is left to the field.
    """
    value = _as_carried(value)
    return str(value) if isinstance(value, int | float) else value


# The contract still asks for a text or a number: anything else travels on as nothing.
_EventId = Annotated[str | int | None, BeforeValidator(_event_id, json_schema_input_type=str | int | float | None)]
_Clock = Annotated[str | int | float | None, BeforeValidator(_clock, json_schema_input_type=str | int | float | None)]


class ChatEvent(BaseModel):
    """One state of one conversation, to be judged as a whole."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    chat_id: str = Field(min_length=1, max_length=MAX_CHAT_ID_CHARACTERS)
    # FailFast: 2 MB of "[1,1,1,...]" would otherwise make a million error objects, about 2 GB.
    messages: Annotated[
        list[Message],
        FailFast(),
        BeforeValidator(_null_is_empty, json_schema_input_type=list[Message] | None),
    ] = Field(
        default_factory=list,
        description="Oldest first. May be empty or null where formatted_chat or query has text.",
    )
    context: Annotated[None, BeforeValidator(lambda _: None, json_schema_input_type=Any)] = Field(
        default=None, description="Carried by upstream; not read by the classifier."
    )
    query: str | None = Field(default=None, description="The text where messages and formatted_chat are empty.")
    formatted_chat: str | None = Field(default=None, description="The text where messages is empty.")
    event_id: _EventId = Field(
        default=None,
        description="Copied into the verdict; beyond 2^53 and with a fraction as text, of a text the first 256 "
        "characters; null where it is neither text nor number.",
    )
    occurred_at: _Clock = Field(default=None, description="Upstream's clock; not interpreted; carried like event_id.")
    schema_version: int | str | None = Field(
        default=None, description="Major version, or major.minor; missing means 1."
    )
