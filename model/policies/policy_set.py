"""All policies of one worker: one reading of a chat in, each policy's decision out. Pure."""

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Final, NamedTuple

from model.decision import DecisionRule, Judgement
from model.policies.context import NO_CONTEXT, DecisionContext
from model.policies.precedence import settled
from schemas import DecidedBy, Decision, PolicyDecision, policies_digest


class Decided(NamedTuple):
    """What the policies say of one chat."""

    judgement: Judgement
    """The default policy's, with its final decision."""
    decisions: dict[str, PolicyDecision]
    """By policy name, the default policy's among them. Shared between verdicts: never changed."""
    model_decision: Decision | None = None
    """What the default policy's own rule says, where something else decided; else None."""


class PolicySet:
    """Rules of one bundle, the default policy's first.

    Args:
        rules: One for each policy, of different names.
        floor: The rule that stands before all of them; None: there is none.
    """

    def __init__(self, rules: Sequence[DecisionRule], floor: DecisionRule | None = None) -> None:
        self.default = rules[0]
        self.rules = tuple(rules)
        self.floor = floor

    @cached_property
    def digest(self) -> str:
        """Digest of all that decides."""
        return policies_digest([rule.policy for rule in self.rules])

    def decide(
        self,
        evidence: Mapping[str, float],
        *,
        category: str,
        unevaluated: Collection[str] = (),
        context: DecisionContext = NO_CONTEXT,
        own: Judgement | None = None,
    ) -> Decided:
        """Decide under every policy.

        Args:
            evidence: By code, all codes, as verdicts hold it.
            category: Code of the most probable category.
            unevaluated: Why something of the chat says nothing; see `model.evidence.rule.Unevaluated`.
            context: What else bears on the event.
            own: What the default policy's rule says, where that is known already.
        """
        floor = Decision.ALLOW
        if self.floor is not None:
            floor = self.floor.judgement(evidence, category=category).decision
        decisions: list[tuple[str, str, Decision, DecidedBy]] = []
        first: Judgement | None = None
        model_decision: Decision | None = None
        for rule in self.rules:
            policy = rule.policy
            if rule is self.default and own is not None:
                judgement = own
            else:
                judgement = rule.judgement(evidence, category=category, unevaluated=unevaluated)
            decision, decided_by = settled(judgement, policy.name, context, floor)
            if first is None:
                first = judgement
                model_decision = judgement.decision if decided_by in _OVER_THE_RULE else None
                if (decision, decided_by) != (judgement.decision, judgement.decided_by):
                    first = Judgement(judgement.banned_probability, judgement.banned_to_safe_risk, decision, decided_by)
            decisions.append((policy.name, policy.version, decision, decided_by))
        assert first is not None  # noqa: S101  there is a default policy
        return Decided(first, self._shared(decisions), model_decision)

    def _shared(self, decisions: list[tuple[str, str, Decision, DecidedBy]]) -> dict[str, PolicyDecision]:
        """Return `decisions`, one object for each outcome: making one costs more than the rest of a hit."""
        key = tuple((decision, decided_by) for _, _, decision, decided_by in decisions)
        if (known := self._by_outcome.get(key)) is None:
            known = {
                name: PolicyDecision(version=version, decision=decision, decided_by=decided_by)
                for name, version, decision, decided_by in decisions
            }
            if len(self._by_outcome) < _MAX_OUTCOMES:
                self._by_outcome[key] = known
        return known

    @cached_property
    def _by_outcome(self) -> dict[tuple[tuple[Decision, DecidedBy], ...], dict[str, PolicyDecision]]:
        return {}


_OVER_THE_RULE: Final = frozenset({DecidedBy.FLOOR, DecidedBy.DENY_LIST, DecidedBy.OVERRIDE, DecidedBy.HOLD})
"""What decides in place of a policy's own rule."""
_MAX_OUTCOMES = 4_096
"""Combinations that are kept: with many policies there are more than memory."""
