"""How large a verdict can become under a set of policies: pure. Each policy adds its decision to every verdict."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Final

from model.evidence.judging import Stage
from model.evidence.rule import Unevaluated
from schemas import (
    RULES_VERSION,
    CategoryLabel,
    DecidedBy,
    Decision,
    EncodedDecision,
    ModelRef,
    Policy,
    PolicyDecision,
    PolicyRef,
    PreviousDecision,
    Source,
    Taxonomy,
    Verdict,
    VerdictKind,
    encode_verdict,
)
from schemas.chat_event import MAX_CARRIED_CHARACTERS, MAX_CHAT_ID_CHARACTERS
from schemas.verdict import INT64_MAX
from worker.cache.entries import MAX_VALUE_BYTES
from worker.outcome_encoding import OutputTopics
from worker.predictor import Loaded

_WIDEST: Final = "\x01"
"""A character that JSON writes in six bytes."""
_LONGEST_REPLAY_ID: Final = "r" * 256
_LONGEST_TOPIC: Final = "t" * 249
_MAX_ACTOR_CHARACTERS: Final = 128
_MOMENT: Final = datetime(2026, 1, 2, 3, 4, 5, 123_456, tzinfo=UTC)
_VALUE: Final = 0.123456
"""As long as a probability gets."""


def room_for_a_verdict(topics: OutputTopics) -> int:
    """Return the bytes that a verdict may have: what its topic takes, and what the cache does."""
    return min(topics.verdict_room_bytes, MAX_VALUE_BYTES)


def largest_verdict_bytes(model: ModelRef, taxonomy: Taxonomy, policies: Sequence[Policy]) -> int:
    """Return the length of the longest verdict that events can lead to, bytes of JSON.

    Args:
        model: The bundle.
        taxonomy: Its categories.
        policies: All that decide, the default one first.
    """
    return len(encode_verdict(largest_verdict(model, taxonomy, policies)))


def largest_verdict(model: ModelRef, taxonomy: Taxonomy, policies: Sequence[Policy]) -> Verdict:
    """Return a verdict in which every field is as long as it gets; see `largest_verdict_bytes`."""
    values = dict.fromkeys(taxonomy.codes, _VALUE)
    name = max(taxonomy.names.values(), key=lambda name: len(name.encode()))
    return Verdict(
        kind=VerdictKind.OVERRIDE,
        verdict_id="0" * 32,
        chat_id=_WIDEST * MAX_CHAT_ID_CHARACTERS,
        event_id=_WIDEST * MAX_CARRIED_CHARACTERS,
        source=Source(topic=_LONGEST_TOPIC, partition=2**31 - 1, offset=INT64_MAX, timestamp_ms=INT64_MAX),
        occurred_at=_WIDEST * MAX_CARRIED_CHARACTERS,
        taxonomy=taxonomy.ref,
        category=CategoryLabel(code=max(taxonomy.codes, key=len), name=name),
        probabilities=values,
        evidence=values,
        language="eng",
        longest_message=INT64_MAX,
        stage=max((stage.value for stage in Stage), key=len),
        unevaluated=tuple(reason.value for reason in Unevaluated),
        decisions={policy.name: _longest_decision(policy) for policy in policies},
        policy=PolicyRef(name=policies[0].name, version=policies[0].version),
        decision=Decision.REVIEW,
        banned_probability=_VALUE,
        banned_to_safe_risk=0.12345678901234568,
        decided_by=_longest_reason(),
        rules_version=RULES_VERSION,
        override_revision=INT64_MAX,
        actor=_WIDEST * _MAX_ACTOR_CHARACTERS,
        model_decision=Decision.REVIEW,
        previous=PreviousDecision(decision=Decision.REVIEW, offset=INT64_MAX, decided_at=_MOMENT),
        model=model,
        content_fingerprint="0" * 32,
        decided_at=_MOMENT,
        cache_hit=False,
        replay_id=_LONGEST_REPLAY_ID,
    )


def refused_for_size(loaded: Loaded, room_bytes: int, in_use: Collection[str] = ()) -> dict[str, str]:
    """Return which files of the folder of policies hold more than fits into a verdict, by name, and what to say of it.

    Args:
        loaded: Bundle and policies.
        room_bytes: Bytes that a verdict may have.
        in_use: Names of the policies that decide already: these stay before others.
    """
    bundle, policies = loaded.bundle, loaded.folder.policies
    used_bytes = largest_verdict_bytes(bundle.ref, bundle.taxonomy, [loaded.policy])
    refused = {}
    for file_name in sorted(policies, key=lambda name: (policies[name].name not in in_use, name)):
        more_bytes = _bytes_of_decision(policies[file_name])
        if used_bytes + more_bytes <= room_bytes:
            used_bytes += more_bytes
            continue
        refused[file_name] = (
            f"{file_name}: with policy {policies[file_name].name!r} a verdict may have {used_bytes + more_bytes:,} "
            f"bytes; expected at most {room_bytes:,}, which verdict topic and cache take; use fewer policies or "
            "shorter names, or raise the topic's max.message.bytes"
        )
    return refused


def _bytes_of_decision(policy: Policy) -> int:
    """Return what one more policy adds to the largest verdict, bytes of JSON, its comma included."""
    return len(EncodedDecision.of(policy.name, _longest_decision(policy)).member) + 1


def _longest_decision(policy: Policy) -> PolicyDecision:
    return PolicyDecision(version=policy.version, decision=Decision.REVIEW, decided_by=_longest_reason())


def _longest_reason() -> DecidedBy:
    return max(DecidedBy, key=lambda reason: len(reason.value))
