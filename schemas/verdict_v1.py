"""Version 1 of the verdict, which is read and no longer written: topics and caches hold it until it expires there."""

from enum import StrEnum
from typing import Final

from pydantic import Field, field_validator

from schemas.taxonomy import TaxonomyRef
from schemas.verdict import (
    CategoryLabel,
    DecidedBy,
    Decision,
    ModelRef,
    PolicyDecision,
    PolicyRef,
    Probability,
    Source,
    Verdict,
    VerdictKind,
    WireModel,
    WireTime,
)

VERDICT_V1_SCHEMA_VERSION: Final = 1
TAXONOMY_OF_V1: Final = TaxonomyRef(name="chat-13", version="1")
RULES_VERSION_OF_V1: Final = "0"
STAGE_OF_V1: Final = "unknown"


class CategoryV1(StrEnum):
    """One label per conversation: what the user wants in the conversation as a whole."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"
    F = "F"
    G = "G"
    H = "H"
    I = "I"  # noqa: E741  the code is part of the contract
    J = "J"
    K = "K"
    L = "L"
    M = "M"


class CategoryLabelV1(WireModel):
    """The most probable category."""

    code: CategoryV1
    name: str


class VerdictV1(WireModel):
    """One verdict of version 1.

    Readers of the topic MUST use `isolation.level=read_committed` (Java's default is not).
    """

    schema_version: int = Field(
        default=VERDICT_V1_SCHEMA_VERSION,
        ge=VERDICT_V1_SCHEMA_VERSION,
        le=VERDICT_V1_SCHEMA_VERSION,
        description="Major version; a reader refuses one that it does not know.",
    )
    verdict_id: str = Field(description="Same chat, content, model and policy: same id, so that readers drop repeats.")
    chat_id: str = Field(min_length=1, max_length=256)
    event_id: str | int | None = None
    category: CategoryLabelV1
    probabilities: dict[CategoryV1, Probability] = Field(
        description="Calibrated; 13 codes; they sum to 1.",
        json_schema_extra={"minProperties": len(CategoryV1)},
    )
    banned_probability: Probability = Field(
        description="The policy's score; not always the sum over `probabilities`, since worse pieces may count."
    )
    banned_to_safe_risk: Probability
    decision: Decision
    policy: PolicyRef
    model: ModelRef
    content_fingerprint: str = Field(description="Digest of the conversation's roles and texts.")
    source: Source
    decided_at: WireTime
    cache_hit: bool
    replay_id: str | None = Field(default=None, description="Null on live traffic.")

    @field_validator("probabilities")
    @classmethod
    def _every_category_is_there(cls, value: dict[CategoryV1, float]) -> dict[CategoryV1, float]:
        if missing := sorted(set(CategoryV1) - set(value)):
            raise ValueError(f"probabilities lacks {missing}; expected all 13 codes")
        return value

    def as_verdict(self) -> Verdict:
        """Return what it says in the form of today; `schema_version` stays 1.

        What version 1 did not say: the evidence is taken for the probabilities, though worse pieces may have counted,
        so no policy's decision can be taken anew from it.
        """
        probabilities = {code.value: value for code, value in self.probabilities.items()}
        decision = PolicyDecision(version=self.policy.version, decision=self.decision, decided_by=DecidedBy.MODEL)
        # Not validated again: of these bytes it was just found that they are a verdict, and not of version 2.
        return Verdict.model_construct(
            schema_version=self.schema_version,
            kind=VerdictKind.EVENT,
            verdict_id=self.verdict_id,
            chat_id=self.chat_id,
            event_id=self.event_id,
            source=self.source,
            occurred_at=None,
            taxonomy=TAXONOMY_OF_V1,
            category=CategoryLabel(code=self.category.code.value, name=self.category.name),
            probabilities=probabilities,
            evidence=probabilities,
            language=None,
            stage=STAGE_OF_V1,
            unevaluated=(),
            decisions={self.policy.name: decision},
            policy=self.policy,
            decision=self.decision,
            banned_probability=self.banned_probability,
            banned_to_safe_risk=self.banned_to_safe_risk,
            decided_by=DecidedBy.MODEL,
            rules_version=RULES_VERSION_OF_V1,
            override_revision=0,
            previous=None,
            model=self.model,
            content_fingerprint=self.content_fingerprint,
            decided_at=self.decided_at,
            cache_hit=self.cache_hit,
            replay_id=self.replay_id,
        )

    @classmethod
    def fields_of(cls, verdict: Verdict) -> dict[str, object]:
        """Return the fields of a verdict that was read as version 1, as they were read."""
        said = vars(verdict)
        return {name: said[name] for name in cls.model_fields}
