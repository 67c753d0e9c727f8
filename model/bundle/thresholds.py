"""The operating points of a policy on banned probability, as they stand in the manifest.

They are for people and for `verify`; a decision asks the risk curves themselves.
"""

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
        `allow_up_to` is 0 where no score can be allowed; `block_from` is 1 where none can be blocked.
    """
    scores = np.unique(np.concatenate([curves.banned_scores, curves.safe_scores]))
    allowed = [s for s in scores if curves.banned_to_safe_risk(float(s)) <= policy.max_banned_to_safe_rate]
    blocked = [s for s in scores if curves.safe_to_banned_risk(float(s)) <= policy.max_safe_to_banned_rate]
    return Thresholds(
        allow_up_to=float(max(allowed, default=0.0)),
        block_from=float(min(blocked, default=1.0)),
    )
