"""The review: a verdict on which some policy asks for a person. It holds no chat text.

One record for each verdict_id, however many policies ask. After a crash under at-least-once delivery a record may come
again under its verdict_id; readers keep one.
"""

from typing import Final

from pydantic import Field

from schemas.dotted_version import DottedVersion
from schemas.taxonomy import TaxonomyRef
from schemas.verdict import (
    ByCategory,
    CategoryLabel,
    DecidedBy,
    Decision,
    ModelRef,
    Source,
    Verdict,
    WireModel,
    WireTime,
)

REVIEW_SCHEMA_VERSION: Final = 1


class AskingPolicy(WireModel):
    """A policy that says `review`."""

    name: str
    version: DottedVersion
    decided_by: DecidedBy = Field(description="Why it asks: the model is in doubt, an earlier block holds, and so on.")


class Review(WireModel):
    """A verdict on which some policy asks for a person.

    Readers of the topic MUST use `isolation.level=read_committed` (Java's default is not).
    """

    schema_version: int = Field(
        default=REVIEW_SCHEMA_VERSION,
        ge=REVIEW_SCHEMA_VERSION,
        le=REVIEW_SCHEMA_VERSION,
        description="Major version; a reader refuses one that it does not know.",
    )
    verdict_id: str = Field(description="Of the verdict, committed in the same transaction; the name of this review.")
    chat_id: str = Field(min_length=1, max_length=256)
    event_id: str | int | None = None
    source: Source = Field(description="The event, in which the text is found as long as its topic keeps it.")
    policies: tuple[AskingPolicy, ...] = Field(
        min_length=1, description="The policies that ask, the default policy first where it does."
    )
    taxonomy: TaxonomyRef
    category: CategoryLabel
    probabilities: ByCategory
    evidence: ByCategory
    language: str | None = None
    unevaluated: tuple[str, ...] = Field(default=(), description="As in the verdict.")
    model: ModelRef
    fingerprint: str = Field(description="The verdict's content_fingerprint: a person's answer is about this text.")
    decided_at: WireTime


def review_of(verdict: Verdict) -> Review | None:
    """Return the review that a verdict asks for; None where no policy says `review`."""
    asking = tuple(
        AskingPolicy(name=name, version=said.version, decided_by=said.decided_by)
        for name, said in verdict.decisions.items()
        if said.decision is Decision.REVIEW
    )
    if not asking:
        return None
    return Review(
        verdict_id=verdict.verdict_id,
        chat_id=verdict.chat_id,
        event_id=verdict.event_id,
        source=verdict.source,
        policies=asking,
        taxonomy=verdict.taxonomy,
        category=verdict.category,
        probabilities=verdict.probabilities,
        evidence=verdict.evidence,
        language=verdict.language,
        unevaluated=verdict.unevaluated,
        model=verdict.model,
        fingerprint=verdict.content_fingerprint,
        decided_at=verdict.decided_at,
    )


def encode_review(review: Review) -> bytes:
    """Encode a review as UTF-8 JSON."""
    return review.model_dump_json().encode()


def decode_review(raw: bytes) -> Review:
    """Decode a review.

    Raises:
        pydantic.ValidationError: the bytes are not a Review.
    """
    return Review.model_validate_json(raw)
