"""Build verdicts: pure functions of the event, the classification and the clock reading that is passed in.

Invariant: a decision is always taken by this builder's policies. The cache gives probabilities and evidence, never
decisions.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

from model import Classification, DecisionRule
from model.evidence.judging import Stage
from model.evidence.rule import Unevaluated
from schemas import (
    RULES_VERSION,
    DecidedBy,
    Decision,
    ModelRef,
    Policy,
    PolicyDecision,
    PolicyRef,
    Taxonomy,
    TaxonomyRef,
    Verdict,
    VerdictKind,
    category_label,
    policies_digest,
    verdict_id,
)
from schemas.chat_event import carried_text
from worker.record import Event

_SUM_TOLERANCE: Final = 2e-4
"""256 values of six decimals differ from one by less."""

_STAGES: Final = frozenset(stage.value for stage in Stage)
_REASONS: Final = frozenset(reason.value for reason in Unevaluated)
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}")
_DECIDED: Final = ("decision", "banned_probability", "banned_to_safe_risk", "decided_by", "decisions", "policy")
"""What policies say of evidence."""


@dataclass(frozen=True)
class VerdictBuilder:
    """What all verdicts of one worker share."""

    model: ModelRef
    policy_in_use: Policy
    categories: Taxonomy
    replay_id: str | None = None
    rule: DecisionRule | None = None
    """Decides what is found in the cache; without it only this builder's own verdicts are believed."""

    @cached_property
    def policy(self) -> PolicyRef:
        """The policy as verdicts name it."""
        return PolicyRef(name=self.policy_in_use.name, version=self.policy_in_use.version)

    @cached_property
    def taxonomy(self) -> TaxonomyRef:
        """The taxonomy as verdicts name it."""
        return self.categories.ref

    @cached_property
    def policies_digest(self) -> str:
        """Digest of all policies that decide."""
        return policies_digest([self.policy_in_use])

    def fresh(self, event: Event, classification: Classification, decided_at: datetime) -> Verdict:
        """Return the verdict on an event that was just classified."""
        judgement, chat = classification.judgement, event.chat
        return Verdict(
            verdict_id=self._verdict_id(chat.chat_id, event.fingerprint),
            chat_id=chat.chat_id,
            event_id=chat.event_id,
            source=event.record.source,
            occurred_at=chat.occurred_at,
            taxonomy=self.taxonomy,
            category=category_label(classification.category, self.categories),
            probabilities=classification.probabilities,
            evidence=classification.evidence,
            language=classification.language,
            stage=classification.stage,
            unevaluated=classification.unevaluated,
            decisions=self._decisions(judgement.decision, judgement.decided_by),
            policy=self.policy,
            decision=judgement.decision,
            banned_probability=judgement.banned_probability,
            banned_to_safe_risk=judgement.banned_to_safe_risk,
            decided_by=judgement.decided_by,
            rules_version=RULES_VERSION,
            model=self.model,
            content_fingerprint=event.fingerprint,
            decided_at=decided_at,
            cache_hit=False,
            replay_id=self.replay_id,
        )

    def answers(self, cached: Verdict, event: Event) -> bool:
        """Say whether a cached verdict has the probabilities of this event: same chat and text, model and rules.

        The policies need not be the same. A verdict of schema version 1 is of rules that no longer are.
        """
        return (
            cached.content_fingerprint == event.fingerprint
            and cached.chat_id == event.chat.chat_id
            and (cached.model is self.model or self._is_of_this_model(cached))
        )

    def is_of_another_taxonomy(self, cached: Verdict, event: Event) -> bool:
        """Say whether a cached verdict is on this very chat and text, and a classifier of another taxonomy gave it.

        It is a miss. Where it goes on, two releases share the cache and overwrite each other's verdicts.
        """
        return (
            cached.taxonomy.name != self.taxonomy.name
            and cached.content_fingerprint == event.fingerprint
            and cached.chat_id == event.chat.chat_id
        )

    def _is_of_this_model(self, cached: Verdict) -> bool:
        return (
            cached.model.digest == self.model.digest
            and cached.rules_version == RULES_VERSION
            and cached.taxonomy == self.taxonomy
        )

    def from_cache(self, event: Event, cached: Verdict, decided_at: datetime) -> Verdict | str:
        """Return the verdict on an event whose text was classified before, or why what is cached is not believed.

        Args:
            event: What is to be judged.
            cached: A verdict that answers it.
            decided_at: The clock.

        Returns:
            The verdict: decided anew, with this record as its source; or the name of what is doubted, a label of the
            metric.
        """
        # The very objects that this builder made: what is read from Redis never has them, nor what another policy
        # decided, so there is nothing to decide anew.
        is_own = cached.policy is self.policy and cached.model is self.model
        said = cached if is_own else self._decided_anew(cached)
        return said if isinstance(said, str) else self._dressed(event, said, decided_at)

    def _dressed(self, event: Event, said: Verdict, decided_at: datetime) -> Verdict:
        chat = event.chat
        return _changed(
            said,
            {
                "event_id": chat.event_id,
                "source": event.record.source,
                "occurred_at": None if chat.occurred_at is None else carried_text(chat.occurred_at),
                "decided_at": decided_at,
                "cache_hit": True,
                "replay_id": self.replay_id,
            },
        )

    def _decided_anew(self, cached: Verdict) -> Verdict | str:
        """Return what another process left in the cache, decided by these policies; or the name of what is doubted.

        Probabilities, evidence and what was not evaluated are taken on trust: only the classifier could tell.
        """
        doubt = next((name for name, holds in self._claims(cached) if not holds), None)
        if doubt is not None or self.rule is None:
            return doubt or "rule"
        judgement = self.rule.judgement(cached.evidence, category=cached.category.code, unevaluated=cached.unevaluated)
        own_id = self._verdict_id(cached.chat_id, cached.content_fingerprint)
        anew = _changed(
            cached,
            {
                "verdict_id": own_id,
                "taxonomy": self.taxonomy,
                "decisions": self._decisions(judgement.decision, judgement.decided_by),
                "policy": self.policy,
                "decision": judgement.decision,
                "banned_probability": judgement.banned_probability,
                "banned_to_safe_risk": judgement.banned_to_safe_risk,
                "decided_by": judgement.decided_by,
                "override_revision": 0,
                "previous": None,
                "model": self.model,
            },
        )
        # Under the same id the same policies must have said the same; under another id other policies spoke.
        is_doubted = cached.verdict_id == own_id and any(
            getattr(cached, name) != getattr(anew, name) for name in _DECIDED
        )
        return "decision" if is_doubted else anew

    def _claims(self, cached: Verdict) -> Iterator[tuple[str, bool]]:
        """Yield what a verdict claims of the model's answer and whether it can be so, the cheap ones first."""
        yield "model", (cached.model.name, cached.model.version) == (self.model.name, self.model.version)
        yield "kind", cached.kind is VerdictKind.EVENT
        probabilities, evidence, label = cached.probabilities, cached.evidence, cached.category
        # Their order too: verdicts promise that of the taxonomy.
        yield "probabilities", tuple(probabilities) == self.categories.codes == tuple(evidence)
        yield "probabilities", abs(sum(probabilities.values()) - 1) <= _SUM_TOLERANCE
        is_likeliest = probabilities.get(label.code) == max(probabilities.values())
        yield "category", is_likeliest and label.name == self.categories.names[label.code]
        yield "evidence", all(evidence[code] >= probability for code, probability in probabilities.items())
        # Free text otherwise, which would be published under this worker's name.
        is_known = cached.stage in _STAGES and _REASONS.issuperset(cached.unevaluated)
        yield "reading", is_known and len(cached.unevaluated) == len(set(cached.unevaluated))
        yield "reading", cached.language is None or _LANGUAGE.fullmatch(cached.language) is not None

    def _decisions(self, decision: Decision, decided_by: DecidedBy) -> dict[str, PolicyDecision]:
        return self._by_outcome[decision, decided_by]

    @cached_property
    def _by_outcome(self) -> dict[tuple[Decision, DecidedBy], dict[str, PolicyDecision]]:
        """`decisions` for every outcome: verdicts share them, since making one costs more than the rest of a hit."""
        policy = self.policy
        return {
            (decision, decided_by): {
                policy.name: PolicyDecision(version=policy.version, decision=decision, decided_by=decided_by)
            }
            for decision in Decision
            for decided_by in DecidedBy
        }

    def _verdict_id(self, chat_id: str, fingerprint: str) -> str:
        return verdict_id(
            chat_id=chat_id,
            fingerprint=fingerprint,
            model_digest=self.model.digest,
            rules_version=RULES_VERSION,
            policies_digest=self.policies_digest,
        )


def _changed(verdict: Verdict, values: dict[str, object]) -> Verdict:
    """Return a copy with other values, as `model_copy(update=values)` in a quarter of its time: every hit is one."""
    changed = Verdict.__new__(Verdict)
    put = object.__setattr__  # the model is frozen for others, not for its maker
    put(changed, "__dict__", {**vars(verdict), **values})
    put(changed, "__pydantic_fields_set__", verdict.__pydantic_fields_set__)
    put(changed, "__pydantic_extra__", None)
    put(changed, "__pydantic_private__", None)
    return changed
