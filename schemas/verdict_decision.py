"""The decision record: who decided what on which chat, and when. Appended, never changed; no chat text, no chat id.

The chat stands there as a keyed hash, so that the log may be kept for years: whoever may look a chat up holds the key.
"""

from enum import StrEnum
from typing import Annotated, Final

import orjson
from pydantic import Field, WithJsonSchema

from schemas.override import ActorId, OverrideScope, ReasonCode
from schemas.verdict import Decision, Int64, Source, WireModel, WireTime

VERDICT_DECISION_SCHEMA_VERSION: Final = 1


class DecisionAction(StrEnum):
    """What was done."""

    SET = "set"
    """An override was put in force."""
    CLEAR = "clear"
    """It was taken back."""


_ACTION: Final = {"type": "string", "enum": [action.value for action in DecisionAction]}
_SCOPE: Final = {"type": "string", "enum": [scope.value for scope in OverrideScope]}


class VerdictDecision(WireModel):
    """One decision of a person, as the audit log has it; written in the transaction of the override itself."""

    schema_version: int = Field(
        default=VERDICT_DECISION_SCHEMA_VERSION,
        ge=VERDICT_DECISION_SCHEMA_VERSION,
        le=VERDICT_DECISION_SCHEMA_VERSION,
        description="Major version; a reader refuses one that it does not know.",
    )
    decision_id: str = Field(min_length=1, max_length=64, description="Of this record; a repeated write has the same.")
    action: Annotated[DecisionAction, WithJsonSchema(_ACTION)]
    chat_hash: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="HMAC-SHA256 of the chat_id under the operator's erasure key."
    )
    policy: str = Field(min_length=1, max_length=64, description="Name of a policy; `*`: every policy.")
    scope: Annotated[OverrideScope, WithJsonSchema(_SCOPE)]
    decision: Decision = Field(description="What was decided; of `clear` what was taken back.")
    revision: Int64 = Field(ge=1, description="Of the override.")
    decided_at: WireTime
    expires_at: WireTime | None = None
    actor: ActorId = Field(description="Who set it or took it back: an opaque id.")
    reason: ReasonCode
    verdict_id: str | None = Field(default=None, description="Of the verdict that the override answers.")
    source: Source = Field(description="The input record that it answers.")


def encode_verdict_decision(decision: VerdictDecision) -> bytes:
    """Encode a decision record as UTF-8 JSON."""
    return orjson.dumps(decision.model_dump(mode="json"))
