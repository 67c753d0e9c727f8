"""All policies of one worker: one reading of a chat in, each policy's decision out. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Final, NamedTuple

from model.decision import DecisionRule, Judgement, Word, no_better_than
from model.policies.context import NO_CONTEXT, DecisionContext
from model.policies.precedence import settled
from model.policies.thresholds import WIRE_UNITS, wire_units
from schemas import DecidedBy, Decision, EncodedDecision, Policy, PolicyDecision, SharedDecisions, policies_digest
from schemas.verdict import IN_PLACE_OF_A_POLICY

_MAX_KEPT_DECISIONS: Final = 65_536
"""Decisions of policies in the combinations that are kept, some 200 bytes each: with many policies there are more
combinations than memory."""
_MAX_KEPT_LIMITS: Final = 1_024

_OVER_THE_RULE: Final = IN_PLACE_OF_A_POLICY | {DecidedBy.FLOOR}
"""What decides in place of a policy's own rule."""

_Limits = tuple[Word | None, ...]
"""For each policy the best that is left of a chat, None where that is anything."""


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
        policies = [rule.policy for rule in rules]
        bounds = {bound for policy in policies for bound in (policy.valid_from, policy.valid_until)}
        self._changes = sorted(bound for bound in bounds if bound is not None)
        lengths = {policy.max_message_characters for policy in policies}
        self._lengths = sorted(length for length in lengths if length is not None)
        self._names = [policy.name for policy in policies]
        self._all = (*self.rules, *([] if floor is None else [floor]))
        self._sums = list({codes for rule in self._all for codes in (rule.policy.counted, rule.policy.must)})
        """Which categories are summed up: many policies share them."""
        self._allow_below: dict[str, list[int]] = {}
        """By the most probable category, for each policy the score below which it allows."""
        self._limits: dict[tuple[tuple[str, ...], str | None, int], _Limits | None] = {}
        self._outside: dict[int, frozenset[str]] = {}
        self._digests: dict[int, str] = {}
        self._decisions: dict[tuple[int, Word], EncodedDecision] = {}
        self._by_outcome: dict[tuple[Word, ...], SharedDecisions] = {}

    @property
    def policies(self) -> tuple[Policy, ...]:
        """All policies, the default one first; the floor's is not among them."""
        return tuple(rule.policy for rule in self.rules)

    @cached_property
    def digest(self) -> str:
        """Digest of all that decides, the floor included, while every policy is in force."""
        return policies_digest(self._deciding)

    @property
    def _deciding(self) -> list[Policy]:
        return [*self.policies, *([] if self.floor is None else [self.floor.policy])]

    @property
    def is_time_bound(self) -> bool:
        """Whether the same chat may be decided otherwise at another time."""
        return bool(self._changes)

    def digest_at(self, at: datetime) -> str:
        """Return the digest of all that decides at a time: it changes when a policy's validity begins or ends."""
        if not self._changes:
            return self.digest
        period = bisect_right(self._changes, at)
        if period not in self._digests:
            self._digests[period] = policies_digest(self._deciding, not_in_force=self._outside_at(at))
        return self._digests[period]

    def _outside_at(self, at: datetime) -> frozenset[str]:
        """Return the names of the policies that are not in force."""
        period = bisect_right(self._changes, at)
        if period not in self._outside:
            outside = [rule.policy.name for rule in self.rules if not rule.is_in_force(at)]
            self._outside[period] = frozenset(outside)
        return self._outside[period]

    def decide(
        self,
        evidence: Mapping[str, float],
        *,
        category: str,
        unevaluated: Collection[str] = (),
        language: str | None = None,
        longest_message: int | None = None,
        at: datetime | None = None,
        context: DecisionContext = NO_CONTEXT,
        own: Judgement | None = None,
    ) -> Decided:
        """Decide under every policy.

        Args:
            evidence: By code, all codes, as verdicts hold it.
            category: Code of the most probable category.
            unevaluated: Why something of the chat says nothing; see `model.evidence.rule.Unevaluated`.
            language: What the user writes; None where that is not known.
            longest_message: Characters of the user's longest message; None, where a verdict does not say it, counts as
                too long under any limit.
            at: When it is decided; None: while all policies are in force.
            context: What else bears on the event.
            own: What the default policy's rule says of this evidence, where that is known already: its score and risk.
        """
        units = wire_units(evidence)
        words = self._by_evidence(units, category)
        floor = Decision.ALLOW if self.floor is None else words.pop().decision
        limits = self._limits_of(tuple(unevaluated), language, longest_message)
        if limits is not None:
            words = [no_better_than(limit, word) for limit, word in zip(limits, words, strict=True)]
        outside = self._outside_at(at) if at is not None and self._changes else frozenset[str]()
        own_decision = words[0].decision
        if context is not NO_CONTEXT or outside or floor is not Decision.ALLOW:
            words = [
                settled(word, name, context, floor, is_in_force=name not in outside)
                for word, name in zip(words, self._names, strict=True)
            ]
        model_decision = own_decision if words[0].decided_by in _OVER_THE_RULE else None
        return Decided(self._judgement(words[0], evidence, own), self._shared(tuple(words)), model_decision)

    def _by_evidence(self, units: Mapping[str, int], category: str) -> list[Word]:
        """Return what each policy says of the evidence, and last the floor, where there is one.

        It is `DecisionRule.by_evidence` with each sum taken once.
        """
        thresholds, most = self.default.thresholds, self.default.thresholds.units
        for_allow = [min(most, thresholds.allow_score(units, codes)) for codes in self._sums]
        for_block = for_allow
        if most != WIRE_UNITS:
            for_block = [min(most, thresholds.block_score(units, codes)) for codes in self._sums]
        if (allow_below := self._allow_below.get(category)) is None:
            # Where the category counts no score is below.
            allow_below = [0 if category in rule.policy.counted else rule.thresholds.allow_below for rule in self._all]
            self._allow_below[category] = allow_below
        return [
            allow if for_allow[counted] < below else block if for_block[must] >= block_from else review
            for (counted, must, block_from, allow, review, block), below in zip(self._cuts, allow_below, strict=True)
        ]

    @cached_property
    def _cuts(self) -> list[tuple[int, int, int, Word, Word, Word]]:
        """For each policy and the floor the places of its two sums, the score from which it blocks, and its words."""
        return [
            (
                self._sums.index(rule.policy.counted),
                self._sums.index(rule.policy.must),
                rule.thresholds.block_from,
                rule.words[Decision.ALLOW],
                rule.words[Decision.REVIEW],
                rule.words[Decision.BLOCK],
            )
            for rule in self._all
        ]

    def _judgement(self, word: Word, evidence: Mapping[str, float], own: Judgement | None) -> Judgement:
        """Return the default policy's judgement."""
        if own is None:
            score = self.default.score(evidence)
            return Judgement(score, self.default.risk(evidence, score), *word)
        if (own.decision, own.decided_by) == word:
            return own
        return Judgement(own.banned_probability, own.banned_to_safe_risk, *word)

    def _limits_of(
        self, unevaluated: tuple[str, ...], language: str | None, longest_message: int | None
    ) -> _Limits | None:
        """Return what each policy leaves a chat at best, None where that is anything for all of them."""
        # Lengths between two limits are all the same to every policy.
        n_exceeded = len(self._lengths) if longest_message is None else bisect_left(self._lengths, longest_message)
        key = (unevaluated, language, n_exceeded)
        if key in self._limits:
            return self._limits[key]
        limits = tuple(rule.at_best(unevaluated, language, longest_message) for rule in self.rules)
        found = limits if any(limits) else None
        if len(self._limits) < _MAX_KEPT_LIMITS:
            self._limits[key] = found
        return found

    def _shared(self, words: tuple[Word, ...]) -> SharedDecisions:
        """Return `decisions`, one object for each outcome: making one costs more than the rest of a hit."""
        if (known := self._by_outcome.get(words)) is None:
            known = SharedDecisions([self._decision(position, word) for position, word in enumerate(words)])
            if len(self._by_outcome) * len(words) < _MAX_KEPT_DECISIONS:
                self._by_outcome[words] = known
        return known

    def _decision(self, position: int, word: Word) -> EncodedDecision:
        if (known := self._decisions.get((position, word))) is None:
            policy = self.rules[position].policy
            known = self._decisions[position, word] = EncodedDecision.of(
                policy.name,
                PolicyDecision(version=policy.version, decision=word.decision, decided_by=word.decided_by),
            )
        return known
