"""The conversation state: what earlier decisions on a chat mean for its next events. It holds no chat text.

The record of topic `verdict-state`. Its key is the chat_id, and it lies in the partition with the number of the input
record's, so that whoever owns an input partition owns the state of its chats. A null value forgets a chat.

Invariant: bounded by the number of policies that hold, or held until lately; nothing in it grows with a chat's length.
"""

from typing import Final

from pydantic import Field

from schemas.verdict import Int64, PreviousDecision, WireModel, WireTime

CONVERSATION_STATE_SCHEMA_VERSION: Final = 1


class HeldBlock(WireModel):
    """The block by which one policy holds a chat: `review` at best until it is over."""

    offset: Int64 = Field(ge=0, description="Of the event that was blocked, in the input partition of this number.")
    at_ms: Int64 = Field(
        description="When that event happened, ms since the epoch: its record timestamp; where it has none, or one "
        "later than the worker's clock, when it was decided."
    )
    until_ms: Int64 = Field(description="Events from then on are not held, ms since the epoch, by the same clock.")
    decided_at: WireTime


class ConversationState(WireModel):
    """What holds one chat. The record's key is the chat_id, a null value forgets the chat.

    Readers of the topic MUST use `isolation.level=read_committed` (Java's default is not).
    """

    schema_version: int = Field(
        default=CONVERSATION_STATE_SCHEMA_VERSION,
        ge=CONVERSATION_STATE_SCHEMA_VERSION,
        le=CONVERSATION_STATE_SCHEMA_VERSION,
        description="Major version; a reader refuses one that it does not know.",
    )
    last: PreviousDecision = Field(description="The default policy's decision on the newest event while a hold lasts.")
    held: dict[str, HeldBlock] = Field(min_length=1, description="By name of the policy that blocked and holds.")

    @property
    def until_ms(self) -> int:
        """When the last of its holds is over, ms since the epoch."""
        return max(block.until_ms for block in self.held.values())


def encode_state(state: ConversationState) -> bytes:
    """Encode a state as UTF-8 JSON."""
    return state.model_dump_json().encode()


def decode_state(raw: bytes) -> ConversationState:
    """Decode a state.

    Raises:
        pydantic.ValidationError: the bytes are not a ConversationState of a version that is known.
    """
    return ConversationState.model_validate_json(raw)
