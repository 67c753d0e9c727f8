"""The operating points of a policy on banned probability, as they stand in the manifest, and what calibration allows.

They are for people and for `verify`; a decision asks the risk curves themselves.
"""

from typing import NamedTuple

import numpy as np

from model.bundle.manifest import Thresholds
from model.calibration import RiskCurves
from schemas import Policy


def thresholds_for(curves: RiskCurves, policy: Policy) -> Thresholds:
    """Return the largest calibration score that is allowed and the smallest that is blocked.

    Args:
        curves: Risk curves under the policy's banned set.
        policy: Accepted error rates.

    Returns:
        `allow_up_to` is 0 where no score can be allowed, or nothing is banned; `block_from` is 1 where none can be
        blocked.
    """
    scores = np.unique(np.concatenate([curves.banned_scores, curves.safe_scores]))
    allowed = [s for s in scores if curves.banned_to_safe_risk(float(s)) <= policy.max_banned_to_safe_rate]
    blocked = [s for s in scores if curves.safe_to_banned_risk(float(s)) <= policy.max_safe_to_banned_rate]
    return Thresholds(
        allow_up_to=float(max(allowed, default=0.0)),
        block_from=float(min(blocked, default=1.0)),
    )


class CalibrationSize(NamedTuple):
    """How many calibration chats there are, and from how many on a policy's decisions can be given at all."""

    n_banned: int
    n_banned_for_allow: int
    """0 where nothing is banned: then every chat is allowed."""
    n_safe: int
    n_safe_for_block: int
    """0 where nothing is banned: then none is blocked."""

    @property
    def is_enough(self) -> bool:
        """Whether both decisions can be given."""
        return self.n_banned >= self.n_banned_for_allow and self.n_safe >= self.n_safe_for_block

    def sentences(self) -> list[str]:
        """Return what people should know of it, one sentence for each of the two decisions."""
        if self.n_banned_for_allow == 0:
            return ["The policy bans nothing: every chat is allowed."]
        if self.n_banned + self.n_safe == 0:
            return ["The bundle is not calibrated: both risks are 1, and every chat gets `review`."]
        return [
            _sentence("allow", self.n_banned_for_allow, self.n_banned, "banned"),
            _sentence("block", self.n_safe_for_block, self.n_safe, "safe"),
        ]


def _sentence(decision: str, n_needed: int, n_found: int, kind: str) -> str:
    end = "." if n_found >= n_needed else f": no chat can get it; calibrate on at least {n_needed - n_found} more."
    return f"`{decision}` needs {n_needed:,} {kind} calibration chats under the policy, there are {n_found:,}{end}"


def calibration_size(curves: RiskCurves, policy: Policy) -> CalibrationSize:
    """Return how far the calibration chats reach under a policy.

    Args:
        curves: Risk curves under the policy's banned set.
        policy: Accepted error rates.
    """
    return CalibrationSize(
        n_banned=len(curves.banned_scores),
        n_banned_for_allow=fewest_chats(policy.max_banned_to_safe_rate) if policy.counted else 0,
        n_safe=len(curves.safe_scores),
        n_safe_for_block=fewest_chats(policy.max_safe_to_banned_rate) if policy.counted else 0,
    )


def fewest_chats(rate: float) -> int:
    """Return the smallest number of chats whose risk can be as low as the rate: of n chats it is at least 1 / (1 + n).

    Args:
        rate: Accepted error rate, above 0 and below 1.
    """
    n_chats = max(0, int(1 / rate) - 2)
    while 1 / (1 + n_chats) > rate:
        n_chats += 1
    return n_chats
