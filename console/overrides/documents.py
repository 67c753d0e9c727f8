"""What is asked and answered about overrides."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from console.port.documents import Request
from console.store.outbox_rows import EVERY_POLICY
from schemas import Decision
from schemas.override import ReasonCode

LONGEST_S = 315_360_000
"""Ten years, seconds."""
POLICY_NAME = r"^(\*|[A-Za-z0-9][A-Za-z0-9_.-]{0,63})$"


class OverrideRequest(Request):
    """A person's decision. An allow is of the text that the verdict is on, and for 24 hours, unless more is said."""

    chat_id: str = Field(min_length=1, max_length=256)
    decision: Decision
    policy: str = Field(default=EVERY_POLICY, pattern=POLICY_NAME, description="Name of a policy; `*`: every policy.")
    whole_chat: bool = Field(
        default=False, description="Of an allow: whatever the chat says from now on. All else is of the whole chat."
    )
    expires_in_s: int | None = Field(
        default=None, gt=0, le=LONGEST_S, description="Absent: 24 hours of an allow, else until it is taken back."
    )
    reason: ReasonCode = Field(description="Why: a code.")
    verdict_id: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{32}$",
        description="Of the verdict that was looked at. An allow then binds to its text, whatever the chat says now. "
        "Absent: the newest.",
    )


class ClearRequest(Request):
    """What is taken back."""

    chat_id: str = Field(min_length=1, max_length=256)
    reason: ReasonCode
    policy: str | None = Field(default=None, pattern=POLICY_NAME, description="Only what was decided for it.")


class DecisionAnswer(BaseModel):
    """A decision that is on its way."""

    decision_id: str = Field(description="Stands in the audit log; a repeated write has the same.")
    state: Literal["waiting", "sent", "cancelled", "refused"] = Field(
        description="sent: it is on its topic. waiting: it will be, as soon as Kafka takes it. refused: see error."
    )
    sent_at_ms: int | None
    error: str | None = Field(description="Why it was refused, or why nothing had to be written.")
    not_lifted: list[str] = Field(
        default=[], description="floor, deny_list: they block the chat, and no person's allow lifts them."
    )


class OverridesAnswer(BaseModel):
    """What people decided on a chat."""

    chat_id: str
    overrides: list[dict[str, Any]] = Field(description="In force, newest first, as on the topic, without signatures.")
    n_waiting: int = Field(description="Decisions on this chat that are not on the topic yet.")


class OutboxRowAnswer(BaseModel):
    """A row that was refused for good."""

    row: int
    decision_id: str
    kind: str
    created_ms: int
    refused_ms: int
    n_tries: int
    error: str | None


class OutboxAnswer(BaseModel):
    """What is still to be sent."""

    n_waiting: int = Field(description="Due, and not sent.")
    oldest_ms: int | None = Field(
        description="Since when the oldest is due, ms since 1970; webhooks between two tries left out."
    )
    n_refused: int
    away_since_ms: int | None = Field(description="Since when the pipeline does not take what is sent; null: it does.")
    error: str | None = Field(default=None, description="Why; for admins.")
    refused: list[OutboxRowAnswer] = Field(default=[], description="Newest first, at most 100; for admins.")
