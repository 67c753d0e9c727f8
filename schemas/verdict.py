"""The verdict: what the worker publishes and caches for one chat event. It holds no chat text."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema, field_validator

from schemas.dotted_version import DottedVersion
from schemas.taxonomy import CATEGORY_NAMES, CODES, Category

VERDICT_SCHEMA_VERSION: Final = 1

Probability = Annotated[float, Field(ge=0.0, le=1.0)]

INT64_MAX: Final = 2**63 - 1
Int64 = Annotated[int, Field(le=INT64_MAX, json_schema_extra={"format": "int64"})]
"""An offset or a time. Some generators of types look at the maximum, some at the format; without both they make an
`int` of 32 bits, which holds no time in milliseconds."""


def wire_time(value: datetime) -> str:
    """Return a time as it is written: ISO 8601, always six decimals, `Z` for UTC."""
    return value.isoformat(timespec="microseconds").replace("+00:00", "Z")


WireTime = Annotated[
    AwareDatetime,
    PlainSerializer(wire_time, when_used="json"),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "description": "Always six decimals, as in 2026-01-02T03:04:05.000000Z.",
        }
    ),
]


class Decision(StrEnum):
    """What the ad pipeline should do with a placement in this chat."""

    ALLOW = "allow"
    REVIEW = "review"
    BLOCK = "block"


class WireModel(BaseModel):
    """A document, or a part of one, that other teams read."""

    # `ignore`: a reader of this version must survive a field that a later minor version adds.
    # Every field is always written, so the schema promises each of them to readers.
    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_serialization_defaults_required=True)


class CategoryLabel(WireModel):
    """The most probable category."""

    code: Category
    name: str


class PolicyRef(WireModel):
    """The policy under which the decision was taken."""

    name: str
    version: DottedVersion


class ModelRef(WireModel):
    """The bundle that computed the probabilities."""

    name: str
    version: DottedVersion
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$", description="Digest of the bundle's manifest.")


class Source(WireModel):
    """The input record that this verdict answers."""

    topic: str
    partition: int = Field(ge=0)
    offset: Int64 = Field(ge=0)
    timestamp_ms: Int64 = Field(description="Kafka record timestamp, ms since the epoch; -1 where the record has none.")


class Verdict(WireModel):
    """One verdict.

    Readers of the topic MUST use `isolation.level=read_committed` (Java's default is not).
    """

    schema_version: int = Field(
        default=VERDICT_SCHEMA_VERSION,
        ge=1,
        le=VERDICT_SCHEMA_VERSION,
        description="Major version; a reader refuses one that it does not know.",
    )
    verdict_id: str = Field(description="Same chat, content, model and policy: same id, so that readers drop repeats.")
    chat_id: str = Field(min_length=1, max_length=256)
    event_id: str | int | None = None
    category: CategoryLabel
    probabilities: dict[Category, Probability] = Field(
        description="Calibrated; 13 codes; they sum to 1.",
        json_schema_extra={"minProperties": len(Category)},
    )
    banned_probability: Probability = Field(
        description=(
            "Sum over the policy's banned categories: of their probabilities, or, where the model reads a chat in "
            "pieces, of the larger of probability and the worst piece's weighted value, at most 1."
        )
    )
    banned_to_safe_risk: Probability = Field(
        description=(
            "Calibrated: the share of banned conversations that would pass as safe if every "
            "conversation that looks at most as banned as this one were allowed (a conformal "
            "upper bound)."
        )
    )
    decision: Decision
    policy: PolicyRef
    model: ModelRef
    content_fingerprint: str = Field(description="Digest of the conversation's roles and texts.")
    source: Source
    decided_at: WireTime
    cache_hit: bool = Field(description="True where the decision came from the cache, not from the classifier.")
    replay_id: str | None = Field(default=None, description="Null on live traffic.")

    @field_validator("probabilities")
    @classmethod
    def _every_category_is_there(cls, value: dict[Category, float]) -> dict[Category, float]:
        if len(value) != len(CODES):
            missing = sorted(set(CODES) - set(value))
            raise ValueError(f"probabilities lacks {missing}; expected all 13 codes")
        return value


def category_label(code: str) -> CategoryLabel:
    """Return the label of a category code; raises KeyError for an unknown code."""
    return CategoryLabel(code=Category[code], name=CATEGORY_NAMES[code])
