"""What the outbox holds: the kinds of its rows and the forms of their bodies. None of it is chat text."""

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from schemas import Decision, Source, TaxonomyRef
from schemas.feedback import MAX_NOTE_CHARACTERS, MAX_REPORTER_CHARACTERS
from schemas.override import ActorId, ReasonCode

EVERY_POLICY: Final = "*"


class Kind(StrEnum):
    """What a row is."""

    OVERRIDE_SET = "override_set"
    OVERRIDE_CLEAR = "override_clear"
    FEEDBACK = "feedback"
    WEBHOOK = "webhook"


OVERRIDES: Final = (Kind.OVERRIDE_SET, Kind.OVERRIDE_CLEAR)
"""Kinds of one chat that are sent in the order in which they were put."""


class Body(BaseModel):
    """The JSON of a row."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OverrideSetBody(Body):
    """A person's decision on a chat. An allow binds to `fingerprint` unless `whole_chat` is set."""

    verdict_id: str
    """Of the verdict that was looked at."""
    chat_id: Annotated[str, Field(min_length=1, max_length=256)]
    fingerprint: str
    """Of the content that was looked at."""
    source: Source
    decision: Decision
    policy: Annotated[str, Field(min_length=1, max_length=64)] = EVERY_POLICY
    whole_chat: bool = False
    """Of an allow: whatever the chat says from now on. A block is of the whole chat without it."""
    expires_in_s: Annotated[int, Field(gt=0)] | None = None
    """From `decided_ms` on; null: 24 hours of an allow, else until it is taken back."""
    actor: ActorId
    reason: ReasonCode
    decided_ms: Annotated[int, Field(gt=0)]
    seen_revision: Annotated[int, Field(ge=0)] = 0
    """`override_revision` of the newest verdict, where it is known: the new revision is above it."""


class OverrideClearBody(Body):
    """A decision is taken back."""

    chat_id: Annotated[str, Field(min_length=1, max_length=256)]
    policy: Annotated[str, Field(min_length=1, max_length=64)] | None = EVERY_POLICY
    """Null: whatever stands on the chat."""
    whole_chat: bool | None = None
    """Of which scope; null: of both."""
    actor: ActorId
    reason: ReasonCode
    undoes: str | None = None
    """decision_id of the row that is undone: only what that one wrote is taken back. Null: what stands."""


class FeedbackBody(Body):
    """A report that a verdict is wrong, as `schemas.Feedback` with the time in milliseconds."""

    verdict_id: str
    source: Source
    chat_id: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    fingerprint: str | None = None
    taxonomy: TaxonomyRef | None = None
    category: str | None = None
    decision: Decision | None = None
    reporter: Annotated[str, Field(min_length=1, max_length=MAX_REPORTER_CHARACTERS)]
    note: Annotated[str, Field(max_length=MAX_NOTE_CHARACTERS)] | None = None
    reported_ms: Annotated[int, Field(gt=0)]


class WebhookBody(Body):
    """An answer for an appeal's caller."""

    appeal_id: str
    url: str
    document: dict[str, Any]


AnyBody = OverrideSetBody | OverrideClearBody | FeedbackBody | WebhookBody


class UnreadableBody(Body):
    """In place of what this release does not understand: a later one wrote it, or its rules were narrowed."""


BODIES: Final[dict[Kind, type[Body]]] = {
    Kind.OVERRIDE_SET: OverrideSetBody,
    Kind.OVERRIDE_CLEAR: OverrideClearBody,
    Kind.FEEDBACK: FeedbackBody,
    Kind.WEBHOOK: WebhookBody,
}
