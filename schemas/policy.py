"""The policy: which categories of a taxonomy are banned, and how many mistakes an advertiser accepts.

A policy is data, not training: the same bundle serves a stricter or a looser policy.
"""

import unicodedata
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from schemas.dotted_version import DottedVersion
from schemas.taxonomy import CHAT_13, MAX_CATEGORIES, CategoryCode, Taxonomy, TaxonomyError, TaxonomyName

LanguageCode = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
"""ISO 639, as verdicts name languages."""

LanguageCodes = Annotated[
    frozenset[LanguageCode],
    # On the set and not on the field, which would then be written where it says nothing, too: a digest would change.
    PlainSerializer(sorted, return_type=list[str], when_used="json"),
]


class UncalibratedLanguages(StrEnum):
    """What becomes of chats in a language that the model was not calibrated on."""

    REVIEW = "review"
    """`review` at best."""
    BLOCK = "block"
    AS_IS = "as_is"
    """As if the guarantee spoke of them too."""


class Enforcement(StrEnum):
    """How firmly a category is banned; the words of AdCP Content Standards."""

    MUST = "must"
    """Such a chat is blocked where the model is sure, and never allowed beyond the accepted rate."""
    SHOULD = "should"
    """Such a chat gets `review`; never `block` for this category alone."""
    MAY = "may"
    """Named for the record; decides nothing."""


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

    unevaluated: UncalibratedLanguages = Field(
        default=UncalibratedLanguages.REVIEW,
        description="For chats of which something else was not judged (images, files, text beyond the limits): "
        "`review` (at best), `block`, or `as_is`.",
    )
    languages: LanguageCodes | None = Field(
        default=None,
        description="Languages that the ad may stand beside, as verdicts name them; a chat in another one gets "
        "`review` at best. Null: all; a chat of unknown language is not held against it.",
    )
    max_message_characters: int | None = Field(
        default=None, gt=0, description="A chat with a longer message gets `review` at best. Null: no limit."
    )
    hold_block_s: float = Field(
        default=0.0,
        ge=0,
        le=31_536_000,
        description="A chat that this policy blocked stays `review` at best for so long, seconds; 0: not at all.",
    )
    enforcement: dict[CategoryCode, Enforcement] = Field(
        default_factory=dict, description="For banned categories that are not banned firmly; the others: `must`."
    )
    requested_by: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="The advertiser who asked for this policy, an opaque id. Null: the operator's own.",
    )
    valid_from: AwareDatetime | None = Field(default=None, description="Before it the policy blocks. Null: always.")
    valid_until: AwareDatetime | None = Field(default=None, description="From it on it blocks. Null: without end.")

    @field_validator("name", "requested_by")
    @classmethod
    def _is_printable(cls, text: str | None) -> str | None:
        # Terminals obey control characters, and lines of logs and bid requests end at some of them.
        if text is not None and any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in text):
            raise ValueError("holds a control character; expected an opaque id of printable ones")
        return text

    @field_validator("valid_from", "valid_until")
    @classmethod
    def _is_a_time_in_utc(cls, moment: datetime | None) -> datetime | None:
        # As it was given: a policy's digest covers its offset.
        try:
            if moment is not None:
                moment.astimezone(UTC)
        except OverflowError:
            raise ValueError(
                "lies outside the years 1 to 9999 in UTC; expected a time in them; leave it out for no bound"
            ) from None
        return moment

    @field_validator("enforcement")
    @classmethod
    def _enforces_what_it_bans(
        cls, enforcement: dict[str, Enforcement], info: ValidationInfo
    ) -> dict[str, Enforcement]:
        if others := sorted(enforcement.keys() - info.data.get("banned", frozenset())):
            raise ValueError(
                f"names categories that are not banned: {others}; expected some of `banned`; add them there"
            )
        return enforcement

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Self:
        if self.valid_from is not None and self.valid_until is not None and self.valid_from >= self.valid_until:
            raise ValueError("valid_until is not after valid_from; expected a later time; correct one of them")
        return self

    @field_serializer("banned", when_used="json")
    def _in_code_order(self, banned: frozenset[str]) -> list[str]:
        """A set has another order in every process; a file and its digest must not."""
        return sorted(banned)

    @classmethod
    def default_for(cls, taxonomy: Taxonomy) -> Self:
        """Return the policy that bans what the taxonomy says, at the usual rates."""
        return cls(
            name="default",
            version="2",
            taxonomy=taxonomy.name,
            banned=taxonomy.banned,
            max_banned_to_safe_rate=0.05,
            max_safe_to_banned_rate=0.02,
        )

    @property
    def must(self) -> frozenset[str]:
        """Codes that are banned firmly: they count for `block` and against `allow`."""
        return self.banned.difference(self.enforcement) | self._enforced(Enforcement.MUST)

    @property
    def should(self) -> frozenset[str]:
        """Codes that count against `allow` only."""
        return self._enforced(Enforcement.SHOULD)

    @property
    def counted(self) -> frozenset[str]:
        """Codes whose evidence is the policy's score: all that it bans but `may`."""
        return self.must | self.should

    def _enforced(self, firmness: Enforcement) -> frozenset[str]:
        return frozenset(code for code, found in self.enforcement.items() if found is firmness)

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
