"""Documents of /v1/reviews. Times in `…_ms` are milliseconds since 1970."""

from typing import Any, Final, Literal

from pydantic import BaseModel, Field, StrictBool, StrictStr

from console.openapi import PROBLEMS
from console.openapi_problems import ProblemDocument
from console.port.documents import Request

RESPONSES: Final[dict[int | str, dict[str, Any]]] = PROBLEMS | {
    status: {"model": ProblemDocument, "description": text}
    for status, text in {
        403: "Host or Origin is not allowed, or the key's role is too low.",
        404: "There is no such item or answer for this caller.",
        409: "Somebody else has the item or has answered it; `details` says who.",
        501: "This process follows no pipeline; the message says what to set.",
        503: "The database or Kafka does not answer; `retry-after` says when to ask again.",
    }.items()
}


class NextRequest(Request):
    """Which item to claim."""

    queue: StrictStr | None = Field(default=None, max_length=64)
    order: Literal["risk", "age"] = "risk"


class Nothing(Request):
    """An object without members."""


class TokenRequest(Request):
    """A claim that is meant."""

    token: StrictStr = Field(max_length=64, description="Of the claim.")


class AnswerRequest(TokenRequest):
    """An answer."""

    outcome: Literal["allow", "block", "skip"]
    category: StrictStr | None = Field(default=None, max_length=64, description="Code of the category that is right.")
    reason: StrictStr | None = Field(default=None, max_length=64, description="One of CONSOLE_REVIEW__REASONS.")
    note: StrictStr | None = Field(default=None, max_length=1_000)
    policy: StrictStr | None = Field(
        default=None,
        max_length=64,
        description="For which policy the decision is meant; * for all. Left out: for those that ask; an appeal's, for "
        "all.",
    )
    whole_chat: StrictBool = Field(default=False, description="Of an allow: whatever the chat says from now on.")


class EarlierAnswer(BaseModel):
    """What was answered on the same text before."""

    outcome: str
    category: str | None
    reason: str | None
    reviewer: str
    at_ms: int


class ReviewItem(BaseModel):
    """An item of the queue. Of a blind one everything is null that the model says or that leads to it."""

    id: int
    kind: Literal["review", "sample", "appeal"]
    queue: str
    state: Literal["open", "done"]
    is_blind: bool
    is_disputed: bool = Field(description="Whether its reviewers disagree, so that the next answer is final.")
    arrived_ms: int
    claimed_by: str | None
    claim_until_ms: int | None
    was_skipped: bool
    codes: list[str] = Field(description="Codes of its taxonomy's categories.")
    taxonomy: dict[str, str]
    verdict_id: str | None
    chat_id: str | None
    source: dict[str, Any] | None
    fingerprint: str | None
    policies: list[dict[str, Any]] | None
    category: str | None
    evidence: dict[str, float] | None
    language: str | None
    unevaluated: list[str] | None
    model: dict[str, str] | None
    risk: float | None
    decided_ms: int | None
    n_wanted: int | None
    n_answers: int | None
    appealed_id: int | None
    earlier: EarlierAnswer | None


class ReviewPage(BaseModel):
    """A part of the queue, and how long the whole of it waits."""

    items: list[ReviewItem]
    total: int
    oldest_ms: int | None
    n_late: int
    p95_wait_ms: int | None
    after: str | None = Field(description="Where the next page begins; null at the end.")


class OpinionAnswer(BaseModel):
    """What one of the reviewers said who disagree."""

    outcome: str
    category: str | None
    reason: str | None
    note: str | None


class ClaimAnswer(BaseModel):
    """An item that is the caller's for a time."""

    item: ReviewItem
    token: str
    until_ms: int
    opinions: list[OpinionAnswer] = Field(description="Of an item in dispute.")


class NextAnswer(BaseModel):
    """The next item; null where there is none."""

    claim: ClaimAnswer | None


class RenewAnswer(BaseModel):
    """A claim that was prolonged."""

    until_ms: int


class ReleaseAnswer(BaseModel):
    """A claim that was given back."""

    released: bool


class AnswerAnswer(BaseModel):
    """An answer as it was taken."""

    answer_id: int
    decision_id: str
    item: ReviewItem
    sends_at_ms: int | None = Field(
        description="When it is sent: until then an undo leaves no trace. Null: nothing is, or the item is blind."
    )


class TurnAnswer(BaseModel):
    """One message."""

    role: str
    text: str


class TextAnswer(BaseModel):
    """What the chat of an item said, or why that is not known."""

    turns: list[TurnAnswer] | None = Field(description="Null: retention took the record, or it is another chat's.")
    deciding: int | None = Field(description="Which turn the item is about.")
    is_changed: bool = Field(description="Whether the record is not what was judged.")


class FiguresAnswer(BaseModel):
    """Figures of a time; see docs/queue.md."""

    since_ms: int
    until_ms: int
    queues: list[dict[str, Any]]
    n_items: int
    agreement: dict[str, Any]
    agreement_by_category: dict[str, Any]
    agreement_by_pair: list[dict[str, Any]]
    model_by_category: dict[str, Any]
    reviewers: list[dict[str, Any]] = Field(description="All for admins, else the caller's own.")
    precision: list[dict[str, Any]]
    precision_overall: list[dict[str, Any]]
