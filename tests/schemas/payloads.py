"""Payloads the tests share: one event, one verdict, and a text that must never leak."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from schemas import (
    CHAT_13,
    CodecLimits,
    DecidedBy,
    Decision,
    ModelRef,
    PolicyDecision,
    PolicyRef,
    RecordRejected,
    Source,
    Verdict,
    category_label,
    decode_chat_event,
)

CANARY = "CANARY-7f3a"
LIMITS = CodecLimits()


def event_bytes(**fields: Any) -> bytes:
    """Return a valid chat event that holds the canary, with `fields` laid over it."""
    return orjson.dumps({"chat_id": "chat-1", "messages": [{"role": "user", "content": CANARY}], **fields})


def raw_event(field: bytes) -> bytes:
    """Return a chat event with one more field, given as raw JSON text."""
    return event_bytes().removesuffix(b"}") + b"," + field + b"}"


def rejection(raw: bytes | None, limits: CodecLimits = LIMITS) -> RecordRejected:
    """Decode what must be rejected; check that the error tells enough and leaks nothing."""
    with pytest.raises(RecordRejected) as caught:
        decode_chat_event(raw, limits)
    rejected = caught.value
    assert CANARY not in str(rejected)
    assert CANARY.casefold() not in str(rejected).casefold()
    assert any(word in rejected.error for word in ("expected", "should", "required"))
    assert len(rejected.error) <= 1_000
    # A chained exception would carry the input into a traceback.
    assert rejected.__cause__ is None
    assert rejected.__suppress_context__ or rejected.__context__ is None
    return rejected


def make_verdict(**fields: Any) -> Verdict:
    """Return a verdict with every field set, with `fields` laid over it."""
    probabilities = dict.fromkeys(CHAT_13.codes, 0.04) | {"F": 0.52}
    complete: dict[str, Any] = {
        "verdict_id": "0f" * 16,
        "chat_id": "chat-1",
        "event_id": "event-1",
        "source": Source(topic="chat-events", partition=3, offset=41, timestamp_ms=1_700_000_000_000),
        "occurred_at": "2026-01-02T03:04:04Z",
        "taxonomy": CHAT_13.ref,
        "category": category_label("F", CHAT_13),
        "probabilities": probabilities,
        "evidence": fields.get("probabilities", probabilities),
        "language": "en",
        "stage": "transformer",
        "banned_probability": 0.12,
        "banned_to_safe_risk": 0.031,
        "decision": Decision.ALLOW,
        "decided_by": DecidedBy.MODEL,
        "policy": PolicyRef(name="default", version="1"),
        "rules_version": "1",
        "model": ModelRef(name="ad-safety", version="1.10.2", digest=f"sha256:{'ab' * 32}"),
        "content_fingerprint": "1e" * 16,
        "decided_at": datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC),
        "cache_hit": False,
        "replay_id": None,
        **fields,
    }
    return Verdict.model_validate({"decisions": _decisions(complete), **complete})


def _decisions(fields: dict[str, Any]) -> dict[str, PolicyDecision]:
    """Return the default policy's decision alone, as a verdict without advertisers' policies has it."""
    policy = PolicyRef.model_validate(fields["policy"])
    return {
        policy.name: PolicyDecision(version=policy.version, decision=fields["decision"], decided_by=DecidedBy.MODEL)
    }
