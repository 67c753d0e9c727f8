"""Verdicts as the worker would publish them, without `source`: no record is answered."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import create_model

from console.judging.asked import Asked
from model import Bundle, Classification, DecisionRule
from schemas import RULES_VERSION, PolicyDecision, PolicyRef, Verdict, category_label, policies_digest, verdict_id
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
        self._default, *self._others = rules
        policy = self._default.policy
        self.policy = PolicyRef(name=policy.name, version=policy.version)
        self.banned = policy.banned
        self._policies_digest = policies_digest([rule.policy for rule in rules])

    def verdict(self, asked: Asked, classification: Classification, decided_at: datetime) -> WireModel:
        """Return the verdict on a conversation."""
        judgement = classification.judgement
        return HttpVerdict.model_validate(
            {
                "verdict_id": verdict_id(
                    chat_id=asked.chat_id,
                    fingerprint=asked.fingerprint,
                    model_digest=self.model.digest,
                    rules_version=RULES_VERSION,
                    policies_digest=self._policies_digest,
                ),
                "chat_id": asked.chat_id,
                "event_id": asked.event_id,
                "occurred_at": asked.occurred_at,
                "taxonomy": self.taxonomy.ref,
                "category": category_label(classification.category, self.taxonomy),
                "probabilities": classification.probabilities,
                "evidence": classification.evidence,
                "language": classification.language,
                "stage": classification.stage,
                "unevaluated": classification.unevaluated,
                "decisions": self.decisions(classification),
                "policy": self.policy,
                "decision": judgement.decision,
                "banned_probability": judgement.banned_probability,
                "banned_to_safe_risk": judgement.banned_to_safe_risk,
                "decided_by": judgement.decided_by,
                "rules_version": RULES_VERSION,
                "model": self.model,
                "content_fingerprint": asked.fingerprint,
                "decided_at": decided_at,
                "cache_hit": False,
            }
        )

    def decisions(self, classification: Classification) -> dict[str, PolicyDecision]:
        """Return what every policy says, by its name."""
        said: list[tuple[Any, Any]] = [(self._default.policy, classification.judgement)]
        for rule in self._others:
            judgement = rule.judgement(
                classification.evidence, category=classification.category, unevaluated=classification.unevaluated
            )
            said.append((rule.policy, judgement))
        return {
            policy.name: PolicyDecision(
                version=policy.version, decision=judgement.decision, decided_by=judgement.decided_by
            )
            for policy, judgement in said
        }
