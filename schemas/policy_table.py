"""The policy table: a row for each bundle and policy, by which any reader decides as the worker does. No chat text.

Rows lie on a compacted topic and are printed by `python -m model thresholds --json`; the bytes are the same.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from schemas.policy import LanguageCode, UncalibratedLanguages
from schemas.taxonomy import MAX_CATEGORIES, CategoryCode, TaxonomyRef
from schemas.verdict import ModelRef, PolicyRef, WireModel, WireTime

POLICY_TABLE_SCHEMA_VERSION: Final = 1

NEVER_OR_ALWAYS: Final = 1.00001
"""Above every score, which is 1 at most: no score reaches it, and each lies below it."""

Threshold = Annotated[float, Field(ge=0.0, le=NEVER_OR_ALWAYS)]
Codes = Annotated[tuple[CategoryCode, ...], Field(max_length=MAX_CATEGORIES)]


def _in_utc(moment: datetime) -> datetime:
    """Return a time in UTC, so that times compare as their texts do."""
    return moment.astimezone(UTC)


UtcTime = Annotated[WireTime, AfterValidator(_in_utc)]


class FloorThresholds(WireModel):
    """What no policy may allow."""

    codes: Codes = Field(description="Categories of the floor.")
    allow_below: Threshold = Field(
        description="Where the category is one of `codes`, or their score is not below it: `review` at best."
    )
    block_from: Threshold = Field(description="Where their score is at least that: `block`, whatever else is said.")


class PolicyTableRow(WireModel):
    """All that decides under one policy of one bundle, besides what verdicts alone tell.

    A score is the sum of a verdict's `evidence` over some codes, at most 1, counted in whole units of 0.000001. Where
    `evidence_decimals` is 5, each value is rounded to that first, a half up for `allow_below`, down for `block_from`.
    `allow`: the score over `must` and `should` is below `allow_below`, and `category.code` is in neither. Else `block`:
    the score over `must` is at least `block_from`. Else `review`.
    """

    schema_version: int = Field(
        default=POLICY_TABLE_SCHEMA_VERSION,
        ge=POLICY_TABLE_SCHEMA_VERSION,
        le=POLICY_TABLE_SCHEMA_VERSION,
        description="Major version; a reader refuses one that it does not know.",
    )
    model: ModelRef = Field(description="The bundle; the row speaks of verdicts with this `model.digest` alone.")
    calibrated: bool = Field(description="False: no chat is allowed or blocked by its score; `review` instead.")
    taxonomy: TaxonomyRef
    policy: PolicyRef
    requested_by: str | None = Field(
        default=None, description="The advertiser whose policy it is: then `advertiser` decides and not `model`."
    )
    must: Codes = Field(description="Count against `allow` and for `block`.")
    should: Codes = Field(description="Count against `allow`.")
    may: Codes = Field(description="Named for the record; count nowhere.")
    evidence_decimals: int = Field(
        ge=5, le=6, description="Decimals of the evidence that the thresholds are taken of; 5: see the row's rule."
    )
    allow_below: Threshold = Field(
        description="`allow` below it. 0: no score is allowed; above 1: every one is, since nothing is banned."
    )
    block_from: Threshold = Field(description="`block` from it on. Above 1: no score is blocked.")
    max_banned_to_safe_rate: float = Field(description="The policy's, of which `allow_below` follows.")
    max_safe_to_banned_rate: float = Field(description="The policy's, of which `block_from` follows.")
    floor: FloorThresholds | None = Field(default=None, description="What no policy may allow; null: there is none.")
    unevaluated: UncalibratedLanguages = Field(
        description="For verdicts that name a reason other than `language` in `unevaluated`."
    )
    uncalibrated_languages: UncalibratedLanguages = Field(
        description="For verdicts that name `language` in `unevaluated`."
    )
    languages: tuple[LanguageCode, ...] | None = Field(
        default=None, description="A verdict with another `language` gets `review` at best; null: all, and none known."
    )
    max_message_characters: int | None = Field(
        default=None, gt=0, description="A verdict with a larger `longest_message` gets `review` at best; null: none."
    )
    hold_block_s: float = Field(
        ge=0, description="How long a `block` holds. A reader takes holds from the verdict: they need earlier ones."
    )
    valid_from: UtcTime | None = Field(
        default=None, description="A verdict with an earlier `decided_at` is `block`. UTC: compares as text."
    )
    valid_until: UtcTime | None = Field(
        default=None, description="A verdict with this `decided_at` or a later one is `block`. UTC: compares as text."
    )

    @property
    def key(self) -> bytes:
        """The record's key: a newer row of the same bundle and policy takes its place."""
        return f"{self.model.digest}/{self.policy.name}/{self.policy.version}".encode()

    @property
    def counted(self) -> frozenset[str]:
        """Codes that count against `allow`."""
        return frozenset((*self.must, *self.should))


def encode_policy_row(row: PolicyTableRow) -> bytes:
    """Encode a row as UTF-8 JSON; equal rows are equal bytes."""
    return row.model_dump_json().encode()


def decode_policy_row(raw: bytes) -> PolicyTableRow:
    """Decode a row; raises pydantic's ValidationError for what is none, or of another major version."""
    return PolicyTableRow.model_validate_json(raw)


def read_policy_rows(lines: bytes) -> Iterator[PolicyTableRow]:
    """Yield the rows of a file of JSON lines, blank ones left out; see `decode_policy_row`."""
    return (decode_policy_row(line) for line in lines.splitlines() if line.strip())
