"""Verdicts as the worker would publish them, without `source`: no record is answered."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from pydantic import create_model

from console.judging.asked import Asked
from model import Bundle, Classification, DecisionRule
from model.policies.policy_set import Decided, PolicySet
from model.policies.rules import floor_rule
from schemas import RULES_VERSION, Decision, Policy, PolicyDecision, PolicyRef, Verdict, category_label, verdict_id
from schemas.verdict import WireModel

HttpVerdict: Final[type[WireModel]] = create_model(
    "HttpVerdict",
    __base__=WireModel,
    __doc__="A verdict of the topic `verdicts`, without `source`: it answers a request and no record.",
    **{name: (field.annotation, field) for name, field in Verdict.model_fields.items() if name != "source"},  # type: ignore[call-overload]
)


class VerdictWriter:
    """Writes verdicts of one bundle under a set of policies.

    Args:
        bundle: Whose classifications these are.
        rules: Policies with the bundle's curves, the default one first.
    """

    def __init__(self, bundle: Bundle, rules: Sequence[DecisionRule]) -> None:
        self.taxonomy = bundle.taxonomy
        self.model = bundle.ref
        policy = rules[0].policy
        self.policy = PolicyRef(name=policy.name, version=policy.version)
        self.banned = policy.counted
        self._policies = PolicySet(rules, floor_rule(bundle))

    @property
    def policies(self) -> tuple[Policy, ...]:
        """All policies, the default one first."""
        return self._policies.policies

    def verdict(self, asked: Asked, classification: Classification, decided_at: datetime) -> WireModel:
        """Return the verdict on a conversation."""
        decided = self._decided(classification, decided_at)
        judgement = decided.judgement
        return HttpVerdict.model_validate(
            {
                "verdict_id": verdict_id(
                    chat_id=asked.chat_id,
                    fingerprint=asked.fingerprint,
                    model_digest=self.model.digest,
                    rules_version=RULES_VERSION,
                    policies_digest=self._policies.digest_at(decided_at),
                ),
                "chat_id": asked.chat_id,
                "event_id": asked.event_id,
                "occurred_at": asked.occurred_at,
                "taxonomy": self.taxonomy.ref,
                "category": category_label(classification.category, self.taxonomy),
                "probabilities": classification.probabilities,
                "evidence": classification.evidence,
                "language": classification.language,
                "longest_message": classification.longest_message,
                "stage": classification.stage,
                "unevaluated": classification.unevaluated,
                "decisions": decided.decisions,
                "policy": self.policy,
                "decision": judgement.decision,
                "banned_probability": judgement.banned_probability,
                "banned_to_safe_risk": judgement.banned_to_safe_risk,
                "decided_by": judgement.decided_by,
                "model_decision": decided.model_decision,
                "rules_version": RULES_VERSION,
                "model": self.model,
                "content_fingerprint": asked.fingerprint,
                "decided_at": decided_at,
                "cache_hit": False,
            }
        )

    def decision(self, classification: Classification) -> Decision:
        """Return the default policy's decision of now, behind the floor."""
        return self._decided(classification, datetime.now(UTC)).judgement.decision

    def decisions(self, classification: Classification, decided_at: datetime) -> dict[str, PolicyDecision]:
        """Return what every policy says, by its name."""
        return self._decided(classification, decided_at).decisions

    def _decided(self, classification: Classification, decided_at: datetime) -> Decided:
        return self._policies.decide(
            classification.evidence,
            category=classification.category,
            unevaluated=classification.unevaluated,
            language=classification.language,
            longest_message=classification.longest_message,
            at=decided_at,
            own=classification.judgement,
        )
