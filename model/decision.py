"""From evidence to a decision, under a policy. Pure: the same evidence and policy always give the same decision."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from model.calibration import WIRE_DECIMALS, RiskCurves
from model.evidence.rule import Unevaluated
from schemas import DecidedBy, Decision, Policy, UncalibratedLanguages

_SEVERITY: Final = {Decision.ALLOW: 0, Decision.REVIEW: 1, Decision.BLOCK: 2}


@dataclass(frozen=True)
class Judgement:
    """What a policy says of one chat."""

    banned_probability: float
    banned_to_safe_risk: float
    decision: Decision
    decided_by: DecidedBy


@dataclass(frozen=True)
class DecisionRule:
    """A policy with the curves of one bundle."""

    policy: Policy
    curves: RiskCurves

    def score(self, evidence: Mapping[str, float]) -> float:
        """Return the score, 0..1: the same number as `model.calibration.policy_scores`.

        Args:
            evidence: By code, as verdicts hold it.
        """
        return min(1.0, round(sum([evidence[code] for code in self.policy.banned]), WIRE_DECIMALS))

    def calibration_scores(self, evidence: Mapping[str, float], score: float) -> tuple[float, float]:
        """Return the least and the largest score that calibration may have had for a chat with this evidence.

        They differ only where calibration has fewer decimals than verdicts, and evidence ends halfway between two of
        its steps: which way it was rounded there, verdicts no longer tell.
        """
        decimals = self.curves.decimals
        if decimals == WIRE_DECIMALS:
            return score, score
        # In whole units of the last decimal, since sums of binary fractions would miss ties.
        step, n_steps = 10 ** (WIRE_DECIMALS - decimals), 10**decimals
        units = [round(evidence[code] * 10**WIRE_DECIMALS) for code in self.policy.banned]
        least = sum([(value + (step - 1) // 2) // step for value in units])
        largest = sum([(value + step // 2) // step for value in units])
        return min(1.0, least / n_steps), min(1.0, largest / n_steps)

    def judgement(
        self, evidence: Mapping[str, float], *, category: str, unevaluated: Collection[str] = ()
    ) -> Judgement:
        """Judge one chat from what a verdict says of it, so that a cached one can be judged anew.

        `allow` only where the banned->safe risk is within the policy and the most probable category is not banned
        (which can only lower the risk further); else `block` where that loses few enough safe chats; else `review`; and
        never better than what is left where something was not evaluated. Where nothing is banned: `allow`.

        Args:
            evidence: By code, all codes, as verdicts hold it.
            category: Code of the most probable category.
            unevaluated: Why something of the chat says nothing; see `model.evidence.rule.Unevaluated`.
        """
        score, policy = self.score(evidence), self.policy
        if not policy.banned:
            risk = 0.0 if self.curves.is_calibrated else 1.0
            return Judgement(0.0, risk, Decision.ALLOW, DecidedBy.NOTHING_BANNED)
        # Each risk is taken where it is the larger, so that both promises hold whichever score is the true one.
        least, largest = self.calibration_scores(evidence, score)
        risk = self.curves.banned_to_safe_risk(largest)
        if risk <= policy.max_banned_to_safe_rate and category not in policy.banned:
            decision = Decision.ALLOW
        elif self.curves.safe_to_banned_risk(least) <= policy.max_safe_to_banned_rate:
            decision = Decision.BLOCK
        else:
            decision = Decision.REVIEW
        at_best = self._at_best(unevaluated)
        if _SEVERITY[at_best] > _SEVERITY[decision]:
            return Judgement(score, risk, at_best, DecidedBy.UNEVALUATED)
        # Without calibration both risks are 1, which leaves `review`; the model had no say in it.
        decided_by = DecidedBy.MODEL if self.curves.is_calibrated else DecidedBy.UNEVALUATED
        return Judgement(score, risk, decision, decided_by)

    def _at_best(self, unevaluated: Collection[str]) -> Decision:
        """Return the best decision that what was not evaluated leaves."""
        foreign = self.policy.uncalibrated_languages
        if Unevaluated.LANGUAGE in unevaluated and foreign is UncalibratedLanguages.BLOCK:
            return Decision.BLOCK
        is_ignored = foreign is UncalibratedLanguages.AS_IS
        counted = [reason for reason in unevaluated if not (is_ignored and reason == Unevaluated.LANGUAGE)]
        return Decision.REVIEW if counted else Decision.ALLOW
