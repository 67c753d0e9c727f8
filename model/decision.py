"""From risks to a decision, under a policy. Pure: the same risks and policy always give the same decision."""

from dataclasses import dataclass
from typing import Final

from model.calibration import RiskCurves
from schemas import Decision, Policy

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
