"""Build verdicts: pure functions of the event, the classification and the clock reading that is passed in.

Invariant: a decision is always taken by this builder's policies. The cache gives probabilities and evidence, never
decisions.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

from model import Classification
from model.evidence.judging import Stage
from model.evidence.rule import Unevaluated
from model.policies.context import NO_CONTEXT, DecisionContext
from model.policies.policy_set import Decided, PolicySet
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
from schemas.verdict import IN_PLACE_OF_A_POLICY
from worker.record import Event

_SUM_TOLERANCE: Final = 2e-4
"""256 values of six decimals differ from one by less."""

_STAGES: Final = frozenset(stage.value for stage in Stage)
_REASONS: Final = frozenset(reason.value for reason in Unevaluated)
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}")
_NO_DECISIONS: Final[Mapping[str, PolicyDecision]] = {}
_DECIDED: Final = ("decision", "banned_probability", "banned_to_safe_risk", "decided_by", "decisions", "policy")
"""What policies say of evidence."""


@dataclass(frozen=True)
class VerdictBuilder:
    """What all verdicts of one worker share."""

    model: ModelRef
    policy_in_use: Policy
    categories: Taxonomy
    replay_id: str | None = None
    policies: PolicySet | None = None
    """Decide on what is found in the cache and in whatever context; without them only this builder's own verdicts are
    believed, and the classification's own judgement stands."""

    @cached_property
    def policy(self) -> PolicyRef:
        """The policy as verdicts name it."""
        return PolicyRef(name=self.policy_in_use.name, version=self.policy_in_use.version)

    @property
    def deciding(self) -> tuple[Policy, ...]:
        """All policies that decide, the default one first."""
        return (self.policy_in_use,) if self.policies is None else self.policies.policies

    @cached_property
    def taxonomy(self) -> TaxonomyRef:
        """The taxonomy as verdicts name it."""
        return self.categories.ref

    @cached_property
    def _own_digest(self) -> str:
        return policies_digest([self.policy_in_use])

    def verdict(
        self,
        event: Event,
        reading: Classification | Verdict,
        decided_at: datetime,
        context: DecisionContext = NO_CONTEXT,
    ) -> Verdict:
        """Return the verdict on an event.

        Args:
            event: What is judged.
            reading: What the classifier said of it, or a cached verdict that answers it and is not doubted.
            decided_at: The clock.
            context: What bears on the decisions besides.
        """
        if isinstance(reading, Verdict):
            return self._hit(event, reading, decided_at, context)
        return self.fresh(event, reading, decided_at, context)

    def fresh(
        self,
        event: Event,
        classification: Classification,
        decided_at: datetime,
        context: DecisionContext = NO_CONTEXT,
    ) -> Verdict:
        """Return the verdict on an event that was just classified."""
        chat, decided = event.chat, self._decided(event, classification, decided_at, context)
        judgement = decided.judgement
        verdict = Verdict(
            verdict_id=self._verdict_id(chat.chat_id, event.fingerprint, decided_at, context, decided.decisions),
            chat_id=chat.chat_id,
            event_id=chat.event_id,
            source=event.record.source,
            occurred_at=chat.occurred_at,
            taxonomy=self.taxonomy,
            category=category_label(classification.category, self.categories),
            probabilities=classification.probabilities,
            evidence=classification.evidence,
            language=classification.language,
            longest_message=event.longest_message,
            stage=classification.stage,
            unevaluated=_unevaluated(event, classification),
            # One of them is validated here and the rest is put in below: validation would copy all of them.
            decisions={self.policy.name: decided.decisions[self.policy.name]},
            policy=self.policy,
            decision=judgement.decision,
            banned_probability=judgement.banned_probability,
            banned_to_safe_risk=judgement.banned_to_safe_risk,
            decided_by=judgement.decided_by,
            rules_version=RULES_VERSION,
            override_revision=context.override_revision,
            previous=context.previous,
            model_decision=decided.model_decision,
            actor=_actor(decided, context),
            model=self.model,
            content_fingerprint=event.fingerprint,
            decided_at=decided_at,
            cache_hit=False,
            replay_id=self.replay_id,
        )
        # Shared, so that they are written once. The model is frozen for others, not for its maker.
        vars(verdict)["decisions"] = decided.decisions
        return verdict

    def _decided(
        self, event: Event, classification: Classification, decided_at: datetime, context: DecisionContext
    ) -> Decided:
        judgement = classification.judgement
        if self.policies is None:
            return Decided(judgement, self._by_outcome[judgement.decision, judgement.decided_by])
        return self.policies.decide(
            classification.evidence,
            category=classification.category,
            unevaluated=_unevaluated(event, classification),
            language=classification.language,
            longest_message=event.longest_message,
            at=decided_at,
            context=context,
            own=judgement,
        )

    def override(
        self, event: Event, reading: Classification | Verdict, decided_at: datetime, context: DecisionContext
    ) -> Verdict:
        """Return the verdict by which a person's decision reaches an event that was judged before; see `verdict`."""
        return _changed(self.verdict(event, reading, decided_at, context), {"kind": VerdictKind.OVERRIDE})

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

    def doubt(self, cached: Verdict) -> str | None:
        """Return why a cached verdict that answers an event is not believed, a label of the metric; None: it is.

        Probabilities, evidence and what was not evaluated are taken on trust: only the classifier could tell.
        """
        if self._is_own(cached):
            return None
        doubt = next((name for name, holds in self._claims(cached) if not holds), None)
        if doubt is not None or self.policies is None:
            return doubt or "rule"
        if cached.override_revision or cached.previous is not None:
            # What people and earlier decisions gave is not known here any more. They are asked anew.
            return None
        decided_at = cached.decided_at
        if cached.verdict_id != self._verdict_id(cached.chat_id, cached.content_fingerprint, decided_at):
            # Other policies spoke.
            return None
        anew = self._anew(cached, decided_at, NO_CONTEXT)
        # Under the same id the same policies must have said the same.
        is_doubted = any(getattr(cached, name) != getattr(anew, name) for name in _DECIDED)
        return "decision" if is_doubted else None

    def _is_own(self, cached: Verdict) -> bool:
        """Say whether this builder made it: what is read from Redis never has these very objects."""
        return cached.policy is self.policy and cached.model is self.model

    def _hit(self, event: Event, cached: Verdict, decided_at: datetime, context: DecisionContext) -> Verdict:
        # What this builder decided without a context it would decide again.
        is_settled = context is NO_CONTEXT and self._is_own(cached) and not self._is_time_bound and _was_plain(cached)
        if is_settled:
            return self._dressed(event, cached, decided_at)
        # Of the event, since a verdict of before does not say it, and what another wrote need not be true.
        read = _changed(cached, {"longest_message": event.longest_message})
        return self._dressed(event, self._anew(read, decided_at, context), decided_at)

    @cached_property
    def _is_time_bound(self) -> bool:
        return self.policies is not None and self.policies.is_time_bound

    def _dressed(self, event: Event, said: Verdict, decided_at: datetime) -> Verdict:
        chat = event.chat
        return _changed(
            said,
            {
                "kind": VerdictKind.EVENT,
                "event_id": chat.event_id,
                "source": event.record.source,
                "occurred_at": None if chat.occurred_at is None else carried_text(chat.occurred_at),
                "decided_at": decided_at,
                "cache_hit": True,
                "replay_id": self.replay_id,
            },
        )

    def _anew(self, cached: Verdict, decided_at: datetime, context: DecisionContext) -> Verdict:
        """Return a cached verdict as these policies decide it at a time, in this context."""
        if self.policies is None:
            return cached
        decided = self.policies.decide(
            cached.evidence,
            category=cached.category.code,
            unevaluated=cached.unevaluated,
            language=cached.language,
            longest_message=cached.longest_message,
            at=decided_at,
            context=context,
        )
        judgement = decided.judgement
        return _changed(
            cached,
            {
                "verdict_id": self._verdict_id(
                    cached.chat_id, cached.content_fingerprint, decided_at, context, decided.decisions
                ),
                "taxonomy": self.taxonomy,
                "decisions": decided.decisions,
                "policy": self.policy,
                "decision": judgement.decision,
                "banned_probability": judgement.banned_probability,
                "banned_to_safe_risk": judgement.banned_to_safe_risk,
                "decided_by": judgement.decided_by,
                "override_revision": context.override_revision,
                "previous": context.previous,
                "model_decision": decided.model_decision,
                "actor": _actor(decided, context),
                "model": self.model,
            },
        )

    def _claims(self, cached: Verdict) -> Iterator[tuple[str, bool]]:
        """Yield what a verdict claims of the model's answer and whether it can be so, the cheap ones first."""
        yield "model", (cached.model.name, cached.model.version) == (self.model.name, self.model.version)
        yield "kind", cached.kind is VerdictKind.EVENT or cached.override_revision > 0
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

    def _verdict_id(
        self,
        chat_id: str,
        fingerprint: str,
        decided_at: datetime,
        context: DecisionContext = NO_CONTEXT,
        decisions: Mapping[str, PolicyDecision] = _NO_DECISIONS,
    ) -> str:
        return verdict_id(
            chat_id=chat_id,
            fingerprint=fingerprint,
            model_digest=self.model.digest,
            rules_version=RULES_VERSION,
            policies_digest=self._own_digest if self.policies is None else self.policies.digest_at(decided_at),
            previous=context.previous,
            override_revision=context.override_revision,
            decisions=decisions,
            listed=context.listed,
        )


def _unevaluated(event: Event, classification: Classification) -> tuple[Unevaluated, ...]:
    """Return why something of an event says nothing; its fingerprint covers what the classifier was not given."""
    if event.holds_unread:
        return (*classification.unevaluated, Unevaluated.CONTENT)
    return classification.unevaluated


def _was_plain(cached: Verdict) -> bool:
    """Say whether a verdict was decided without a context."""
    if cached.override_revision or cached.previous is not None:
        return False
    # A list is named by none of its fields, and may have decided for other policies than the default one alone.
    return all(one.decided_by not in IN_PLACE_OF_A_POLICY for one in cached.decisions.values())


def _actor(decided: Decided, context: DecisionContext) -> str | None:
    """Return who decided an override that counts, None where none does."""
    if context.actor is None:
        return None
    counts = any(one.decided_by is DecidedBy.OVERRIDE for one in decided.decisions.values())
    return context.actor if counts else None


def _changed(verdict: Verdict, values: dict[str, object]) -> Verdict:
    """Return a copy with other values, as `model_copy(update=values)` in a quarter of its time: every hit is one."""
    changed = Verdict.__new__(Verdict)
    put = object.__setattr__  # the model is frozen for others, not for its maker
    put(changed, "__dict__", {**vars(verdict), **values})
    put(changed, "__pydantic_fields_set__", verdict.__pydantic_fields_set__)
    put(changed, "__pydantic_extra__", None)
    put(changed, "__pydantic_private__", None)
    return changed
