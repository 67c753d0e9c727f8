"""What the board keeps of a record: pure, without text."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas import DeadLetter, Decision, Source, chat_of_key, decode_verdict
from schemas.dotted_version import DottedVersion
from schemas.verdict import CategoryLabel, DecidedBy, PolicyDecision, PolicyRef, VerdictKind
from worker.kafka.topic_scan import ScannedRecord

MOST_POLICIES: Final = 50
"""Policies of one verdict that are kept, the default policy among them."""

Said = tuple[tuple[str, str, str], ...]
"""Of each policy its name, its decision, and what that rests on."""


class _Seen(BaseModel):
    """The part of a verdict that is shown; a tenth of the whole one's validation."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    schema_version: int
    kind: VerdictKind
    verdict_id: str
    chat_id: str
    source: Source
    category: CategoryLabel
    language: str | None = None
    stage: str
    decisions: dict[str, PolicyDecision]
    policy: PolicyRef
    decision: Decision
    banned_probability: float
    decided_by: DecidedBy
    model: "_Model"
    cache_hit: bool
    replay_id: str | None = None


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    version: DottedVersion


@dataclass(frozen=True, slots=True)
class LiveVerdict:
    """One verdict."""

    place: str
    """Partition and offset on the verdict topic: the same at every console."""
    at_ms: int
    """When it was published."""
    kind: str
    """event, override or replay."""
    chat_id: str
    verdict_id: str
    code: str
    category: str
    language: str | None
    stage: str
    policy: str
    said: Said
    score: float
    cache_hit: bool
    model: str

    def under(self, policy: str | None) -> tuple[str, str] | None:
        """Return decision and what it rests on; None where the policy is not among those that are kept.

        Args:
            policy: A policy's name; None: the default policy.
        """
        wanted = policy or self.policy
        return next(((decision, by) for name, decision, by in self.said if name == wanted), None)

    def document(self, policy: str | None = None) -> dict[str, Any]:
        """Return the row of the page, with the decision under one policy."""
        decision, by = self.under(policy) or ("", "")
        return {
            "place": self.place,
            "at_ms": self.at_ms,
            "kind": self.kind,
            "chat_id": self.chat_id,
            "code": self.code,
            "category": self.category,
            "language": self.language,
            "stage": self.stage,
            "policy": policy or self.policy,
            "decision": decision,
            "decided_by": by,
            "score": self.score,
            "cache_hit": self.cache_hit,
            "model": self.model,
        }


@dataclass(frozen=True, slots=True)
class LiveLetter:
    """One dead letter; what it holds is not kept."""

    at_ms: int
    reason: str
    error: str
    chat_id: str | None
    source: str
    """Topic, partition and offset of the record that got no verdict."""


def verdict_of(record: ScannedRecord, share: Callable[[Said], Said] = lambda said: said) -> LiveVerdict | None:
    """Return what is shown of a record of the verdict topic; None for a tombstone and for what is no verdict.

    Args:
        record: The record.
        share: Returns an equal value that is kept once.
    """
    found = None if record.value is None else _seen(record.value)
    if found is None:
        return None
    kind = "replay" if found.replay_id is not None else found.kind.value
    return LiveVerdict(
        place=f"{record.partition}-{record.offset}",
        at_ms=record.timestamp_ms,
        kind=kind,
        chat_id=found.chat_id,
        verdict_id=found.verdict_id,
        code=found.category.code,
        category=found.category.name,
        language=found.language,
        stage=found.stage,
        policy=found.policy.name,
        said=share(_said(found)),
        score=found.banned_probability,
        cache_hit=found.cache_hit,
        model=f"{found.model.name} {found.model.version}",
    )


def _seen(raw: bytes) -> _Seen | None:
    try:
        return _Seen.model_validate_json(raw)
    except ValidationError:
        # Perhaps of version 1.
        pass
    try:
        return _Seen.model_validate(decode_verdict(raw).model_dump())
    except ValidationError:
        return None


def _said(found: _Seen) -> Said:
    # Its own fields rather than the entry of `decisions`: they are the same in every version.
    default = (found.policy.name, found.decision.value, found.decided_by.value)
    others = [
        (name, one.decision.value, one.decided_by.value)
        for name, one in found.decisions.items()
        if name != found.policy.name
    ]
    return (default, *others[: MOST_POLICIES - 1])


def letter_of(record: ScannedRecord) -> LiveLetter:
    """Return what is shown of a record of the dead-letter topic; one without the headers of the contract counts too."""
    chat_id = chat_of_key(record.key)
    try:
        letter = DeadLetter.from_headers(record.headers)
    except ValidationError:
        error = "its headers are not those of the contract; expected a worker to be the only writer of the topic"
        return LiveLetter(record.timestamp_ms, "unreadable", error, chat_id, "")
    source = f"{letter.origin_topic}[{letter.origin_partition}]@{letter.origin_offset}"
    return LiveLetter(record.timestamp_ms, letter.reason.value, letter.error, chat_id, source)
