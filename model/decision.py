"""From evidence to a decision, under a policy. Pure: the same evidence and policy always give the same decision."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final, NamedTuple

from model.calibration import WIRE_DECIMALS, RiskCurves
from model.evidence.rule import Unevaluated
from model.policies.thresholds import ExactThresholds, exact_thresholds, wire_units
from schemas import DecidedBy, Decision, Policy, UncalibratedLanguages

SEVERITY: Final = {Decision.ALLOW: 0, Decision.REVIEW: 1, Decision.BLOCK: 2}
"""Which decision is the stricter one."""

_AT_BEST: Final = {
    UncalibratedLanguages.AS_IS: Decision.ALLOW,
    UncalibratedLanguages.REVIEW: Decision.REVIEW,
    UncalibratedLanguages.BLOCK: Decision.BLOCK,
}


class Word(NamedTuple):
    """What somebody decides, and what that rests on."""

    decision: Decision
    decided_by: DecidedBy


@dataclass(frozen=True)
class Judgement:
    """What a policy says of one chat."""

    banned_probability: float
    banned_to_safe_risk: float
    decision: Decision
    decided_by: DecidedBy


@dataclass(frozen=True)
class DecisionRule:
    """A policy with the curves of one bundle; `model.policies.rules` makes them."""

    policy: Policy
    curves: RiskCurves
    """Under the categories that count, firmly banned or not."""
    must_curves: RiskCurves | None = None
    """Under those that are firmly banned; None where these are all that count."""

    def __post_init__(self) -> None:
        """Refuse curves that are not those of the policy."""
        if self.must_curves is None and self.policy.should:
            raise ValueError(
                f"policy {self.policy.name!r} bans {sorted(self.policy.should)} less firmly and there are no curves of "
                "the others; expected both; make the rule with model.policies.rules"
            )

    @cached_property
    def thresholds(self) -> ExactThresholds:
        """Where its decisions change."""
        return exact_thresholds(self.policy, self.curves, self.must_curves or self.curves)

    def score(self, evidence: Mapping[str, float]) -> float:
        """Return the score, 0..1: the same number as `model.calibration.policy_scores`.

        Args:
            evidence: By code, as verdicts hold it.
        """
        return min(1.0, round(sum([evidence[code] for code in self._codes[0]]), WIRE_DECIMALS))

    def risk(self, evidence: Mapping[str, float], score: float) -> float:
        """Return the banned->safe risk of a chat, 0..1; the larger one where calibration has fewer decimals.

        Args:
            evidence: By code, as verdicts hold it.
            score: Its score.
        """
        counted, _, cut = self._codes
        if not counted:
            return 0.0 if self.curves.is_calibrated else 1.0
        if self.curves.decimals != WIRE_DECIMALS:
            score = min(1.0, cut.allow_score(wire_units(evidence), counted) / cut.units)
        return self.curves.banned_to_safe_risk(score)

    @cached_property
    def own_word(self) -> DecidedBy:
        """What its decisions rest on where nothing else speaks."""
        return DecidedBy.MODEL if self.policy.requested_by is None else DecidedBy.ADVERTISER

    def by_evidence(self, evidence: Mapping[str, int], category: str) -> Decision:
        """Return what the evidence alone gives.

        `allow` only where the banned->safe risk is within the policy and the most probable category does not count
        (which can only lower the risk further); else `block` where that loses few enough chats that are not firmly
        banned; else `review`. Where nothing counts: `allow`.

        Args:
            evidence: By code, all codes, see `model.policies.thresholds.wire_units`.
            category: Code of the most probable category.
        """
        counted, must, cut = self._codes
        return cut.decision(
            cut.allow_score(evidence, counted),
            cut.block_score(evidence, must),
            may_be_allowed=category not in counted,
        )

    @cached_property
    def _codes(self) -> tuple[frozenset[str], frozenset[str], ExactThresholds]:
        return self.policy.counted, self.policy.must, self.thresholds

    @cached_property
    def words(self) -> dict[Decision, Word]:
        """What `by_evidence` is called, for each decision."""
        if not self.policy.counted:
            rests_on = DecidedBy.NOTHING_BANNED
        elif self.curves.is_calibrated:
            rests_on = self.own_word
        else:
            # Both risks are 1, which leaves `review`; the model had no say in it.
            rests_on = DecidedBy.UNEVALUATED
        return {decision: Word(decision, rests_on) for decision in Decision}

    def at_best(
        self, unevaluated: Collection[str] = (), language: str | None = None, longest_message: int | None = None
    ) -> Word | None:
        """Return the best that the policy leaves a chat, whatever its evidence; None where that is anything.

        Args:
            unevaluated: Why something of the chat says nothing; see `model.evidence.rule.Unevaluated`.
            language: What the user writes; None where that is not known.
            longest_message: Characters of the user's longest message; None, where a verdict does not say it, counts as
                too long under any limit.
        """
        policy = self.policy
        words = []
        if policy.counted:
            for reason in unevaluated:
                is_language = reason == Unevaluated.LANGUAGE
                said = _AT_BEST[policy.uncalibrated_languages if is_language else policy.unevaluated]
                words.append(Word(said, DecidedBy.UNEVALUATED))
        is_too_long = policy.max_message_characters is not None and (
            longest_message is None or longest_message > policy.max_message_characters
        )
        is_foreign = language is not None and policy.languages is not None and language not in policy.languages
        if is_too_long or is_foreign:
            words.append(Word(Decision.REVIEW, self.own_word))
        # Of equally strict ones the first: what was not evaluated goes before what the policy asks for.
        strictest = max(words, key=lambda word: SEVERITY[word.decision], default=None)
        return None if strictest is None or strictest.decision is Decision.ALLOW else strictest

    def is_in_force(self, at: datetime) -> bool:
        """Say whether the policy is valid at a time."""
        begins, ends = self.policy.valid_from, self.policy.valid_until
        return (begins is None or begins <= at) and (ends is None or at < ends)

    def judgement(
        self,
        evidence: Mapping[str, float],
        *,
        category: str,
        unevaluated: Collection[str] = (),
        language: str | None = None,
        longest_message: int | None = None,
        at: datetime | None = None,
    ) -> Judgement:
        """Judge one chat from what a verdict says of it, so that a cached one can be judged anew.

        What the evidence gives, and never better than what the policy leaves where something was not evaluated, is in
        another language or is too long; `block` where the policy is not in force.

        Args:
            evidence: By code, all codes, as verdicts hold it.
            category: Code of the most probable category.
            unevaluated: Why something of the chat says nothing; see `model.evidence.rule.Unevaluated`.
            language: What the user writes; None where that is not known.
            longest_message: Characters of the user's longest message; None, where a verdict does not say it, counts as
                too long under any limit.
            at: When it is decided; None: while the policy is in force.
        """
        word = self.words[self.by_evidence(wire_units(evidence), category)]
        word = no_better_than(self.at_best(unevaluated, language, longest_message), word)
        if at is not None and not self.is_in_force(at):
            word = NOT_IN_FORCE
        score = self.score(evidence)
        return Judgement(score, self.risk(evidence, score), *word)


def no_better_than(at_best: Word | None, word: Word) -> Word:
    """Return a policy's word, or the best that it leaves the chat where that is stricter; None leaves anything."""
    return word if at_best is None or SEVERITY[at_best.decision] <= SEVERITY[word.decision] else at_best


NOT_IN_FORCE: Final = Word(Decision.BLOCK, DecidedBy.ADVERTISER)
"""What a policy says before and after its time."""
