"""The verdict: what the worker publishes and caches for one chat event. It holds no chat text.

Invariant: whoever holds a verdict can take any policy's decision anew from its `evidence`, and its category depends on
no policy.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from schemas.chat_event import MAX_CARRIED_CHARACTERS, carried_text
from schemas.dotted_version import DottedVersion
from schemas.taxonomy import MAX_CATEGORIES, MIN_CATEGORIES, CategoryCode, Taxonomy, TaxonomyRef

VERDICT_SCHEMA_VERSION: Final = 2

Probability = Annotated[float, Field(ge=0.0, le=1.0)]

ByCategory = Annotated[dict[str, Probability], Field(min_length=MIN_CATEGORIES, max_length=MAX_CATEGORIES)]
"""One number for each code of the taxonomy, in its order."""

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


_MODEL_DECISION: Final = {"type": ["string", "null"]}
"""Without its values: generators of types make of an enumeration that may be null what cannot read one of them."""


class VerdictKind(StrEnum):
    """What a verdict answers."""

    EVENT = "event"
    """A chat event."""
    OVERRIDE = "override"
    """A person's decision on an event that had a verdict."""


_KIND: Final = {"type": "string", "enum": [kind.value for kind in VerdictKind]}
"""Written out where it stands: generators name a class after the property, which would be a second `VerdictKind`."""


class DecidedBy(StrEnum):
    """What a decision rests on.

    Where several speak the first of these counts: floor, deny list, override that blocks, override that allows, hold,
    unevaluated, advertiser, then the model.
    """

    MODEL = "model"
    """The model's evidence under the policy."""
    NOTHING_BANNED = "nothing_banned"
    """The policy bans nothing."""
    UNEVALUATED = "unevaluated"
    """Something of the conversation was not judged; see `unevaluated`."""
    HOLD = "hold"
    """An earlier decision on the conversation, kept for a time."""
    FLOOR = "floor"
    """A category that no policy may allow."""
    ADVERTISER = "advertiser"
    """An advertiser's own policy."""
    DENY_LIST = "deny_list"
    """The chat is on a list."""
    OVERRIDE = "override"
    """A person."""


IN_PLACE_OF_A_POLICY: Final = frozenset({DecidedBy.DENY_LIST, DecidedBy.OVERRIDE, DecidedBy.HOLD})
"""What no policy says by itself: lists, people and earlier decisions, for some policies and not for others."""


class WireModel(BaseModel):
    """A document, or a part of one, that other teams read."""

    # `ignore`: a reader of this version must survive a field that a later minor version adds.
    # Every field is always written, so the schema promises each of them to readers.
    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_serialization_defaults_required=True)


class CategoryLabel(WireModel):
    """The most probable category."""

    code: CategoryCode
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


class PolicyDecision(WireModel):
    """What one policy says."""

    version: DottedVersion
    decision: Decision
    decided_by: DecidedBy


class PreviousDecision(WireModel):
    """What was decided on an earlier event of the chat, where that bears on this decision."""

    decision: Decision
    offset: Int64 = Field(ge=0, description="Of the earlier event, in the partition of `source`.")
    decided_at: WireTime


class Verdict(WireModel):
    """One verdict.

    Readers of the topic MUST use `isolation.level=read_committed` (Java's default is not).
    """

    schema_version: int = Field(
        default=VERDICT_SCHEMA_VERSION,
        ge=VERDICT_SCHEMA_VERSION,
        le=VERDICT_SCHEMA_VERSION,
        description="Major version; a reader refuses one that it does not know.",
    )
    kind: Annotated[VerdictKind, WithJsonSchema(_KIND)] = Field(
        default=VerdictKind.EVENT, description="`event`: answers a chat event; `override`: a person's later decision."
    )
    verdict_id: str = Field(
        description="Same chat, content, model, rules, policies, previous decision and override: same id, so that "
        "readers drop repeats."
    )
    chat_id: str = Field(min_length=1, max_length=256)
    event_id: str | int | None = None
    # Before all that is nested: the script that writes the cache looks for the first source.
    source: Source
    occurred_at: Annotated[str | None, BeforeValidator(carried_text)] = Field(
        default=None,
        max_length=MAX_CARRIED_CHARACTERS,
        description="The event's `occurred_at`, not interpreted; a number as its digits; at most 256 characters.",
    )
    taxonomy: TaxonomyRef
    category: CategoryLabel
    probabilities: ByCategory = Field(
        description="Calibrated, of the newest messages; every code of the taxonomy; they sum to 1."
    )
    evidence: ByCategory = Field(
        description="For each code of the taxonomy the larger of its probability and of the worst piece's, weighted. A "
        "policy's score is the sum over its banned codes, at most 1, rounded to six decimals."
    )
    language: str | None = Field(
        default=None,
        description="What the user writes, or what one line of it is in where the model was not calibrated on it; null "
        "where the model does not tell.",
    )
    longest_message: int | None = Field(
        default=None, ge=0, description="Characters of the user's longest message; null in verdicts of before."
    )
    stage: str = Field(description="Which part of the model answered.")
    unevaluated: tuple[str, ...] = Field(
        default=(), description="Reasons why something of the conversation was not judged; empty: all of it was."
    )
    decisions: dict[str, PolicyDecision] = Field(
        min_length=1, description="By policy name; that of `policy` is among them."
    )
    policy: PolicyRef = Field(description="The default policy; the fields from here to `decided_by` are of it.")
    decision: Decision
    banned_probability: Probability = Field(description="The policy's score: see `evidence`.")
    banned_to_safe_risk: Probability = Field(
        description=(
            "Calibrated: the share of banned conversations that would pass as safe if every "
            "conversation that looks at most as banned as this one were allowed (a conformal "
            "upper bound). 1 where the model was never calibrated."
        )
    )
    decided_by: DecidedBy
    rules_version: str = Field(
        min_length=1, description="Version of the rules outside the model by which a text becomes probabilities."
    )
    override_revision: Int64 = Field(
        default=0, ge=0, description="0 where no person decided; on one source the higher revision counts."
    )
    previous: PreviousDecision | None = None
    model_decision: Annotated[Decision | None, WithJsonSchema(_MODEL_DECISION)] = Field(
        default=None,
        description="What the default policy's own rule says, `allow`, `review` or `block`, where `decided_by` is "
        "override, deny_list, hold or floor; else null.",
    )
    actor: str | None = Field(
        default=None,
        max_length=128,
        description="Who decided the override of `override_revision`, an opaque id; null where none decided.",
    )
    model: ModelRef
    content_fingerprint: str = Field(description="Digest of the conversation's roles and texts.")
    decided_at: WireTime
    cache_hit: bool = Field(description="True where the probabilities came from the cache, not from the classifier.")
    replay_id: str | None = Field(default=None, description="Null on live traffic.")

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if self.evidence.keys() != self.probabilities.keys():
            raise ValueError("evidence and probabilities have different codes; expected every code of the taxonomy")
        if self.category.code not in self.probabilities:
            raise ValueError("category.code is none of the codes of probabilities; expected one of them")
        if self.policy.name not in self.decisions:
            raise ValueError("decisions lacks that of `policy`; expected one entry for each policy")
        return self


def category_label(code: str, taxonomy: Taxonomy) -> CategoryLabel:
    """Return the label of a category; raises KeyError for a code that is not of the taxonomy."""
    return CategoryLabel(code=code, name=taxonomy.names[code])
