"""From risks to a decision, under a policy. Pure: the same risks and policy always give the same decision."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from model.calibration import STORED_DECIMALS, RiskCurves
from schemas import Category, Decision, Policy

_ROUNDING: Final = 10.0**-STORED_DECIMALS
"""What one probability may differ by, rounded to five decimals once or after it was rounded to six."""

_SEVERITY: Final = {Decision.ALLOW: 0, Decision.REVIEW: 1, Decision.BLOCK: 2}


@dataclass(frozen=True)
class Judgement:
    """What a policy says of one chat."""

    banned_probability: float
    banned_to_safe_risk: float
    decision: Decision


def decide(
    *, category: str, banned_probability: float, curves: RiskCurves, policy: Policy, at_best: Decision = Decision.ALLOW
) -> Judgement:
    """Judge one chat.

    `allow` only where the banned->safe risk is within the policy and the most probable category is not banned (which
    can only lower the risk further); else `block` where that loses few enough safe chats; else `review`; and never
    better than what is left where something was not evaluated.

    Args:
        category: Most probable category.
        banned_probability: The score, calibrated, 0..1.
        curves: The bundle's risk curves under this policy's banned set.
        policy: Banned categories and accepted error rates.
        at_best: The best decision that what was read allows.
    """
    risk = curves.banned_to_safe_risk(banned_probability)
    if risk <= policy.max_banned_to_safe_rate and category not in policy.banned:
        decision = Decision.ALLOW
    elif curves.safe_to_banned_risk(banned_probability) <= policy.max_safe_to_banned_rate:
        decision = Decision.BLOCK
    else:
        decision = Decision.REVIEW
    return Judgement(banned_probability, risk, max(decision, at_best, key=_SEVERITY.__getitem__))


@dataclass(frozen=True)
class DecisionRule:
    """A policy with the curves of one bundle: judges probabilities that were computed before."""

    policy: Policy
    curves: RiskCurves
    is_exact: bool = True
    """Whether the probabilities say it all. Else pieces may have raised the score, or something unread the decision."""

    def judgement(
        self,
        *,
        category: str,
        probabilities: Mapping[Category, float],
        banned_probability: float,
        stated: Decision = Decision.ALLOW,
    ) -> Judgement | None:
        """Return the judgement of a chat from what a verdict says of it, None where that contradicts itself.

        Args:
            category: Most probable category.
            probabilities: All 13 codes, six decimals.
            banned_probability: As the verdict states it. It was summed before its terms were rounded to six decimals,
                so it is taken as it stands where it is their sum within rounding, or above it where not exact.
            stated: As the verdict states it; where not exact, a decision is no better.
        """
        banned = self.policy.banned
        total = sum(probabilities[code] for code in banned)
        tolerance = (len(banned) + 1) * _ROUNDING
        if total - banned_probability > tolerance or (self.is_exact and banned_probability - total > tolerance):
            return None
        return decide(
            category=category,
            banned_probability=banned_probability,
            curves=self.curves,
            policy=self.policy,
            at_best=Decision.ALLOW if self.is_exact else stated,
        )
