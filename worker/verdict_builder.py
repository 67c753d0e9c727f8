"""Build verdicts: pure functions of the event, the judgement and the clock reading that is passed in."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from model import Classification, DecisionRule
from schemas import CATEGORY_NAMES, ModelRef, PolicyRef, Verdict, category_label, verdict_id
from worker.record import Event

_SUM_TOLERANCE: Final = 1e-4
"""Thirteen values of six decimals differ from one by less."""


@dataclass(frozen=True)
class VerdictBuilder:
    """What all verdicts of one worker share."""

    model: ModelRef
    policy: PolicyRef
    replay_id: str | None = None
    rule: DecisionRule | None = None
    """Judges what is found in the cache; without it only this builder's own verdicts are believed."""

    def fresh(self, event: Event, classification: Classification, decided_at: datetime) -> Verdict:
        """Return the verdict on an event that was just classified."""
        judgement = classification.judgement
        return Verdict(
            verdict_id=self._verdict_id(event.chat.chat_id, event.fingerprint),
            chat_id=event.chat.chat_id,
            event_id=event.chat.event_id,
            category=category_label(classification.category),
            probabilities=classification.probabilities,
            banned_probability=judgement.banned_probability,
            banned_to_safe_risk=judgement.banned_to_safe_risk,
            decision=judgement.decision,
            policy=self.policy,
            model=self.model,
            content_fingerprint=event.fingerprint,
            source=event.record.source,
            decided_at=decided_at,
            cache_hit=False,
            replay_id=self.replay_id,
        )

    def answers(self, cached: Verdict, event: Event) -> bool:
        """Say whether a cached verdict answers this event: same content, same model, same policy."""
        return (
            cached.content_fingerprint == event.fingerprint
            and cached.model.digest == self.model.digest
            and (cached.policy is self.policy or cached.policy == self.policy)
            and cached.chat_id == event.chat.chat_id
        )

    def doubt(self, cached: Verdict) -> str | None:
        """Say what of a cached verdict is not what this model and policy say of its probabilities; None: all of it is.

        The probabilities themselves are taken on trust: only the classifier could tell.

        Args:
            cached: A verdict that answers an event.

        Returns:
            The name of what differs, a label of the metric.
        """
        if cached.policy is self.policy and cached.model is self.model:
            # The very object that this builder made: what is read from Redis never is.
            return None
        return next((name for name, holds in self._claims(cached) if not holds), None)

    def _claims(self, cached: Verdict) -> Iterator[tuple[str, bool]]:
        """Yield what a verdict claims and whether it is so, the cheap ones first."""
        yield "model", (cached.model.name, cached.model.version) == (self.model.name, self.model.version)
        yield "verdict_id", cached.verdict_id == self._verdict_id(cached.chat_id, cached.content_fingerprint)
        probabilities, label = cached.probabilities, cached.category
        yield "probabilities", abs(sum(probabilities.values()) - 1) <= _SUM_TOLERANCE
        is_likeliest = probabilities[label.code] == max(probabilities.values())
        yield "category", is_likeliest and label.name == CATEGORY_NAMES[label.code]
        judgement = None
        if self.rule is not None:
            judgement = self.rule.judgement(
                category=label.code,
                probabilities=probabilities,
                banned_probability=cached.banned_probability,
                stated=cached.decision,
            )
        yield "banned_probability", judgement is not None
        stated = (cached.banned_to_safe_risk, cached.decision)
        yield "decision", judgement is not None and (judgement.banned_to_safe_risk, judgement.decision) == stated

    def _verdict_id(self, chat_id: str, fingerprint: str) -> str:
        return verdict_id(
            chat_id=chat_id,
            fingerprint=fingerprint,
            model_digest=self.model.digest,
            policy_name=self.policy.name,
            policy_version=self.policy.version,
        )

    def from_cache(self, event: Event, cached: Verdict, decided_at: datetime) -> Verdict:
        """Return the verdict on an event whose content was judged before: same id, this record as its source."""
        hit = cached.model_copy()
        # As `model_copy(update=...)` does, in a third of its time. Policy and model are equal; as the same objects they
        # are not compared field by field the next time, and say that this builder vouches for the rest.
        vars(hit).update(
            policy=self.policy,
            model=self.model,
            event_id=event.chat.event_id,
            source=event.record.source,
            decided_at=decided_at,
            cache_hit=True,
            replay_id=self.replay_id,
        )
        return hit
