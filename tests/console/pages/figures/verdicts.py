"""Verdicts of a bundle's calibration chats, as records of the verdict topic."""

from typing import Any

from console.pipeline.yesterday import Found
from model import Bundle
from model.policies.policy_set import PolicySet
from model.policies.rules import policies_over
from schemas import DEFAULT_POLICY, Source, Verdict, category_label, encode_verdict
from tests.policy_cases import NOW
from tests.schemas.payloads import make_verdict

NOON_MS = int(NOW.timestamp() * 1_000)


def verdict_of(bundle: Bundle, policies: PolicySet, row: int, **fields: Any) -> Verdict:
    """Return the verdict on a calibration chat, the `row`-th."""
    codes, row = bundle.taxonomy.codes, row % len(bundle.calibration_labels)
    evidence = dict(zip(codes, bundle.calibration_evidence[row].tolist(), strict=True))
    category = codes[int(bundle.calibration_probabilities[row].argmax())]
    language = "en" if row % 40 else "de"
    decided = policies.decide(evidence, category=category, language=language, longest_message=row)
    return make_verdict(
        **{
            "chat_id": f"chat-{row}",
            "taxonomy": bundle.taxonomy.ref,
            "category": category_label(category, bundle.taxonomy),
            "probabilities": evidence,
            "language": language,
            "longest_message": row,
            "decisions": dict(decided.decisions),
            "banned_probability": decided.judgement.banned_probability,
            "banned_to_safe_risk": decided.judgement.banned_to_safe_risk,
            "decision": decided.judgement.decision,
            "decided_by": decided.judgement.decided_by,
            "model": bundle.ref,
            "decided_at": NOW,
            "source": Source(topic="chat-events", partition=0, offset=row, timestamp_ms=NOON_MS + row),
            **fields,
        }
    )


def record_of(verdict: Verdict, offset: int = 0) -> Found:
    """Return the record of a verdict."""
    return Found(verdict.chat_id.encode(), encode_verdict(verdict), ("verdicts", 0, offset), NOON_MS + offset)


def past_verdicts(bundle: Bundle, n: int) -> list[Found]:
    """Return the records of so many chats under the default policy."""
    policies = policies_over(bundle, [DEFAULT_POLICY])
    return [record_of(verdict_of(bundle, policies, row), row) for row in range(n)]
