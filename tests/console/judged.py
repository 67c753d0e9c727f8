"""Verdicts and reviews of tests, each of a chat, a text and a place of its own unless told otherwise."""

import hashlib
from datetime import UTC, datetime
from typing import Any, Final

from schemas import DecidedBy, Decision, PolicyDecision, Review, Source, Verdict, VerdictKind, review_of
from tests.schemas.payloads import make_verdict

DAY_MS: Final = 86_400_000
AT_MS: Final = 20_000 * DAY_MS + 3_600_000
"""An hour into some day of 2024."""


def a_verdict(number: int = 0, *, decision: Decision = Decision.ALLOW, at_ms: int = AT_MS, **fields: Any) -> Verdict:
    """Return a verdict of the live traffic.

    Args:
        number: Makes chat, text, id and place.
        decision: Of the policy `default`.
        at_ms: When its event was written and it was decided.
        fields: Laid over it; `others` are decisions of further policies.
    """
    others = fields.pop("others", {})
    decided_by = fields.get("decided_by", DecidedBy.MODEL)
    said = {"default": decision, **others}
    made: dict[str, Any] = {
        "verdict_id": named(f"verdict {number}"),
        "chat_id": f"chat-{number}",
        "content_fingerprint": named(f"text {number}"),
        "source": Source(topic="chat-events", partition=0, offset=number, timestamp_ms=at_ms),
        "decided_at": datetime.fromtimestamp(at_ms / 1_000, UTC),
        "decision": decision,
        "decisions": {
            name: PolicyDecision(version="1", decision=one, decided_by=decided_by) for name, one in said.items()
        },
    }
    return make_verdict(**made | fields)


def a_review(number: int = 0, **fields: Any) -> Review:
    """Return the review of a verdict on which the policy `default` asks; see `a_verdict`."""
    review = review_of(a_verdict(number, decision=Decision.REVIEW, **fields))
    assert review is not None
    return review


def an_override(number: int = 0, decision: Decision = Decision.ALLOW, **fields: Any) -> Verdict:
    """Return a person's word on a verdict; see `a_verdict`."""
    made: dict[str, Any] = {
        "kind": VerdictKind.OVERRIDE,
        "verdict_id": named(f"override {number}"),
        "decided_by": DecidedBy.OVERRIDE,
        "override_revision": 7,
        "actor": "ann",
    }
    return a_verdict(number, decision=decision, **made | fields)


def named(what: str) -> str:
    """Return 32 hexadecimal digits."""
    return hashlib.blake2b(what.encode(), digest_size=16).hexdigest()
