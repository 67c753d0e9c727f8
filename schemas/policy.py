"""The policy: which categories are banned, and how many mistakes an advertiser accepts.

A policy is data, not training: the same bundle serves a stricter or a looser policy.
"""

from enum import StrEnum
from typing import Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_serializer,
    field_validator,
)

from schemas.dotted_version import DottedVersion
from schemas.taxonomy import DEFAULT_BANNED, Category


class UncalibratedLanguages(StrEnum):
    """What becomes of chats in a language that the model was not calibrated on."""

    REVIEW = "review"
    """`review` at best."""
    BLOCK = "block"
    AS_IS = "as_is"
    """As if the guarantee spoke of them too."""


class Policy(BaseModel):
    """What an advertiser accepts. Rates are shares of conversations, 0..1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=64)
    version: DottedVersion
    banned: frozenset[Category] = Field(
        min_length=1,
        description="Categories that never carry an ad; at least one category is left out.",
        json_schema_extra={"maxItems": len(Category) - 1},
    )
    max_banned_to_safe_rate: float = Field(
        gt=0,
        lt=1,
        description="Of the banned conversations, the share that may be answered `allow`.",
    )
    max_safe_to_banned_rate: float = Field(
        gt=0,
        lt=1,
        description=("Of the safe conversations, the share that may be answered `block`; between the two: `review`."),
    )

    uncalibrated_languages: UncalibratedLanguages = Field(
        default=UncalibratedLanguages.REVIEW,
        description="For chats in a language that the model was not calibrated on: `review` (at best), `block`, or "
        "`as_is`. Where a model tells no languages apart, nothing changes.",
    )

    @field_validator("banned")
    @classmethod
    def _some_category_is_safe(cls, banned: frozenset[Category]) -> frozenset[Category]:
        if len(banned) == len(Category):
            raise ValueError(
                "banned names all 13 categories, so that no ad could ever be shown; leave at least one out"
            )
        return banned

    @field_serializer("banned", when_used="json")
    def _in_code_order(self, banned: frozenset[Category]) -> list[Category]:
        """A set has another order in every process; a file and its digest must not."""
        return sorted(banned)


DEFAULT_POLICY: Final = Policy(
    name="default",
    version="1",
    banned=frozenset(Category(code) for code in DEFAULT_BANNED),
    max_banned_to_safe_rate=0.05,
    max_safe_to_banned_rate=0.02,
)
"""The policy used where no policy file is named."""
