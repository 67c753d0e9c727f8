"""The policy: which categories of a taxonomy are banned, and how many mistakes an advertiser accepts.

A policy is data, not training: the same bundle serves a stricter or a looser policy.
"""

from enum import StrEnum
from typing import Final, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_serializer,
)

from schemas.dotted_version import DottedVersion
from schemas.taxonomy import CHAT_13, MAX_CATEGORIES, CategoryCode, Taxonomy, TaxonomyError, TaxonomyName


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
    taxonomy: TaxonomyName = Field(
        default=CHAT_13.name,
        description="Name of the taxonomy whose categories it bans; a bundle of another refuses it.",
    )
    banned: frozenset[CategoryCode] = Field(
        max_length=MAX_CATEGORIES - 1,
        description="Codes of the categories that never carry an ad; at least one of the taxonomy is left out. Empty: "
        "nothing is banned, and every conversation is allowed.",
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

    @field_serializer("banned", when_used="json")
    def _in_code_order(self, banned: frozenset[str]) -> list[str]:
        """A set has another order in every process; a file and its digest must not."""
        return sorted(banned)

    @classmethod
    def default_for(cls, taxonomy: Taxonomy) -> Self:
        """Return the policy that bans what the taxonomy says, at the usual rates."""
        return cls(
            name="default",
            version="1",
            taxonomy=taxonomy.name,
            banned=taxonomy.banned,
            max_banned_to_safe_rate=0.05,
            max_safe_to_banned_rate=0.02,
        )

    def require(self, taxonomy: Taxonomy) -> None:
        """Raise TaxonomyError unless this is a policy over that taxonomy.

        Args:
            taxonomy: The one that a bundle was trained on.
        """
        if self.taxonomy != taxonomy.name:
            raise TaxonomyError(
                f"policy {self.name!r} is over taxonomy {self.taxonomy!r}; the bundle's is {taxonomy.name!r}; name a "
                "policy over that one, or another bundle"
            )
        taxonomy.require(self.banned, of=f"policy {self.name!r}")
        if self.banned == set(taxonomy.codes):
            raise TaxonomyError(
                f"policy {self.name!r} bans all {len(taxonomy.codes)} categories of taxonomy {taxonomy.ref}, so that "
                "no ad could ever be shown; leave at least one out"
            )


DEFAULT_POLICY: Final = Policy.default_for(CHAT_13)
"""The default policy of the shipped bundle, and of every bundle of format 1."""
