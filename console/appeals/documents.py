"""What is asked and answered about appeals."""

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from console.port.documents import Request
from schemas.feedback import MAX_NOTE_CHARACTERS
from schemas.override import ReasonCode


class AppealRequest(Request):
    """An objection to a verdict."""

    chat_id: str | None = Field(
        default=None, min_length=1, max_length=256, description="Its newest verdict is meant. This, or verdict_id."
    )
    verdict_id: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{32}$", description="Of a verdict that a person was asked about."
    )
    reason: ReasonCode = Field(description="Why it is wrong: a code of the caller's own.")
    note: str | None = Field(default=None, max_length=MAX_NOTE_CHARACTERS, description="For whoever answers.")
    webhook_url: str | None = Field(
        default=None, max_length=2_000, description="Where the answer is sent: https, a host of appeals.webhook_hosts."
    )

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.chat_id is None) == (self.verdict_id is None):
            raise ValueError("chat_id and verdict_id, or neither; expected exactly one of them")
        return self


class AppealAnswer(BaseModel):
    """An appeal, and its answer once there is one."""

    appeal_id: str
    verdict_id: str
    chat_id: str | None = Field(description="Null: the chat was erased.")
    state: Literal["open", "answered"]
    outcome: Literal["accepted", "rejected", "erased"] | None = Field(
        description="accepted: the decision changes; erased: the chat was erased before somebody looked again."
    )
    decision: Literal["allow", "block"] | None
    reason: str | None = Field(description="A code.")
    created_ms: int = Field(description="Milliseconds since 1970.")
    answered_ms: int | None
    webhook: Literal["waiting", "sent", "cancelled", "refused"] | None = Field(
        description="How far the answer is on its way to webhook_url; null: it is not sent anywhere."
    )


class CallerReliability(BaseModel):
    """How often a caller's appeals are right."""

    caller: str
    n: int
    n_answered: int
    n_accepted: int
    share: float | None = Field(description="Accepted of those that were answered.")
    low: float = Field(description="Wilson's interval of the share, 95 %.")
    high: float


class CallersAnswer(BaseModel):
    """Every caller that appealed."""

    callers: list[CallerReliability]


class Webhook(BaseModel):
    """What is sent to webhook_url, with `verdictstream-signature: t=SECONDS,v1=HEX` and `verdictstream-delivery`."""

    appeal_id: str
    verdict_id: str
    chat_id: str | None = Field(description="Null: the chat was erased.")
    outcome: Literal["accepted", "rejected", "erased"]
    decision: Literal["allow", "block"] | None = Field(description="Null: the chat was erased first.")
    reason: str | None
    answered_at: str
