"""The verdict change: a replay judged an event again and came to another category or decision. No chat text."""

from typing import Final

from pydantic import Field

from schemas.taxonomy import TaxonomyRef
from schemas.verdict import CategoryLabel, Decision, ModelRef, PolicyRef, Probability, Source, WireModel, WireTime

VERDICT_CHANGE_SCHEMA_VERSION: Final = 2


class Standing(WireModel):
    """What was or is said of an event."""

    category: CategoryLabel
    decision: Decision


class VerdictChange(WireModel):
    """One event whose category or decision a replay has changed.

    Readers of the topic MUST use `isolation.level=read_committed` (Java's default is not).
    """

    schema_version: int = Field(
        default=VERDICT_CHANGE_SCHEMA_VERSION,
        ge=VERDICT_CHANGE_SCHEMA_VERSION,
        le=VERDICT_CHANGE_SCHEMA_VERSION,
        description="Major version; a reader refuses one that it does not know.",
    )
    chat_id: str = Field(min_length=1, max_length=256)
    replay_id: str = Field(description="The replay that found the change.")
    source: Source = Field(description="The event. Where the chat has a newer one, its own verdict is what counts.")
    taxonomy: TaxonomyRef = Field(description="Of both categories: verdicts under another name are not compared.")
    old: Standing = Field(description="As the newest earlier verdict on this event in the verdict topic said.")
    new: Standing
    verdict_id: str = Field(description="Of the new verdict, which is committed in the same transaction.")
    banned_to_safe_risk: Probability = Field(description="Of the new verdict.")
    policy: PolicyRef = Field(description="Of the new verdict.")
    model: ModelRef = Field(description="Of the new verdict.")
    decided_at: WireTime
