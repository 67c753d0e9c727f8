"""The chat event as upstream sends it.

Unknown fields are ignored, so that upstream may add fields before we know them; known fields of a
wrong type reject the record, because a guess about moderation input is worse than a dead letter.
"""

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, FailFast, Field

EVENT_SCHEMA_VERSION: Final = 1
"""The one major version of ChatEvent this code reads; an event without one is of this version."""

MAX_CHAT_ID_CHARACTERS: Final = 256


class Role(StrEnum):
    """Who wrote a message."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"


class Message(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    role: Role
    content: str
    id: int | str | None = None
    created_at: int | str | None = Field(
        default=None,
        validation_alias=AliasChoices("createdAt", "created_at"),
        serialization_alias="createdAt",
    )


def _null_is_empty(value: object) -> object:
    """Read a null list as an empty one: serialisers differ on how they write "no messages"."""
    return [] if value is None else value


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
    context: Any = Field(default=None, description="Carried by upstream; not read by the classifier.")
    query: str | None = Field(default=None, description="The text where messages and formatted_chat are empty.")
    formatted_chat: str | None = Field(default=None, description="The text where messages is empty.")
    event_id: str | int | None = Field(default=None, description="Copied into the verdict.")
    occurred_at: str | int | float | None = Field(default=None, description="Upstream's clock; not interpreted.")
    schema_version: int | str | None = Field(
        default=None, description="Major version, or major.minor; missing means 1."
    )
