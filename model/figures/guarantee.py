"""What a policy promises over a bundle, and what its calibration chats say of the promise."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.bundle.thresholds import calibration_size
from model.decision import DecisionRule
from model.figures.proportion import clopper_pearson


class Promise(NamedTuple):
    """One of a policy's two promises."""

    accepted: float
    """The rate that the policy accepts: a bound on the share, on average over sets of calibration chats."""
    bound: float | None
    """The bound at the threshold that is used: at most `accepted`, since a set of n chats has n steps. None: the
    decision cannot be given at all."""
    threshold: float | None
    """Score below which the policy allows, or from which it blocks; None where it never does."""
    n: int
    """Calibration chats on the wrong side of it."""
    of: int
    """Calibration chats of the kind: banned ones, or safe ones."""
    n_needed: int
    """Chats of the kind without which the decision could not be given."""
    low: float | None
    """95 % interval (Clopper-Pearson) of the share that `n` of `of` tells; None without chats."""
    high: float | None


class Guarantee(NamedTuple):
    """Both promises of a policy over a bundle."""

    banned_to_safe: Promise
    safe_to_banned: Promise
    is_calibrated: bool
    is_anything_banned: bool

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "banned_to_safe": self.banned_to_safe._asdict(),
            "safe_to_banned": self.safe_to_banned._asdict(),
            "is_calibrated": self.is_calibrated,
            "is_anything_banned": self.is_anything_banned,
        }


def guarantee_of(rule: DecisionRule) -> Guarantee:
    """Return what a policy promises over the bundle whose curves its rule holds."""
    policy, cut = rule.policy, rule.thresholds
    size = calibration_size(rule.curves, policy)
    banned, safe = rule.curves.banned_scores, (rule.must_curves or rule.curves).safe_scores
    allows, blocks = 0 < cut.allow_below <= cut.units, cut.block_from <= cut.units
    n_passed = int((_units(banned, cut.units) < cut.allow_below).sum()) if allows else 0
    n_lost = int((_units(safe, cut.units) >= cut.block_from).sum()) if blocks else 0
    below, from_ = cut.on_the_wire
    return Guarantee(
        _promise(
            policy.max_banned_to_safe_rate,
            below if allows else None,
            n_passed,
            len(banned),
            size.n_banned_for_allow,
        ),
        _promise(policy.max_safe_to_banned_rate, from_ if blocks else None, n_lost, len(safe), size.n_safe_for_block),
        is_calibrated=rule.curves.is_calibrated,
        is_anything_banned=bool(policy.counted),
    )


def _promise(accepted: float, threshold: float | None, n: int, of: int, n_needed: int) -> Promise:
    low, high = (None, None) if not of or threshold is None else clopper_pearson(n, of)
    bound = None if threshold is None else (1 + n) / (1 + of)
    return Promise(accepted, bound, threshold, n, of, n_needed, low, high)


def _units(scores: NDArray[np.float64], units: int) -> NDArray[np.int64]:
    return np.rint(scores * units).astype(np.int64)
