"""Where the decisions of a policy over a bundle change, exactly. Pure.

A risk is a step function of the score, so that "the risk is within the rate" is the same as one comparison of the score
with a number. Scores are sums of decimals: counted in whole units of the last decimal, every comparison is exact.

Invariant: for all evidence `decision` says what `RiskCurves` and the policy's rates say.
"""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

import numpy as np

from model.calibration import WIRE_DECIMALS, RiskCurves, ScoreArray
from schemas import Decision, Policy

WIRE_UNITS: Final = 10**WIRE_DECIMALS
"""Units of evidence in verdicts, from 0 to 1."""


class ExactThresholds(NamedTuple):
    """Where a policy's decisions change, in whole units of the last decimal that calibration has."""

    units: int
    """Units from 0 to 1: 1,000,000, and 100,000 over a bundle of format 1."""
    allow_below: int
    """`allow` where the category is not banned and the score is below it. 0: never; `units` + 1: always."""
    block_from: int
    """Else `block` where the score is at least that. `units` + 1: never."""

    def decision(self, allow_score: int, block_score: int, *, may_be_allowed: bool) -> Decision:
        """Decide.

        Args:
            allow_score: Sum over the categories that must or should not carry an ad; see `allow_score`.
            block_score: Sum over those that must not; see `block_score`.
            may_be_allowed: Whether the most probable category is none of them.
        """
        if may_be_allowed and min(self.units, allow_score) < self.allow_below:
            return Decision.ALLOW
        return Decision.BLOCK if min(self.units, block_score) >= self.block_from else Decision.REVIEW

    def allow_score(self, evidence: Mapping[str, int], codes: Collection[str]) -> int:
        """Return the sum that is compared with `allow_below`, in `units`.

        Args:
            evidence: By code, see `wire_units`.
            codes: Whose evidence counts.
        """
        if self.units == WIRE_UNITS:
            return sum([evidence[code] for code in codes])
        # Which way calibration rounded a half, verdicts no longer tell: each sum takes the worse one for its decision.
        step = WIRE_UNITS // self.units
        return sum([(evidence[code] + step // 2) // step for code in codes])

    def block_score(self, evidence: Mapping[str, int], codes: Collection[str]) -> int:
        """Return the sum that is compared with `block_from`, in `units`; see `allow_score`."""
        if self.units == WIRE_UNITS:
            return sum([evidence[code] for code in codes])
        step = WIRE_UNITS // self.units
        return sum([(evidence[code] + (step - 1) // 2) // step for code in codes])

    @property
    def on_the_wire(self) -> tuple[float, float]:
        """`allow_below` and `block_from` as scores, with as many decimals as calibration has."""
        return self.allow_below / self.units, self.block_from / self.units


def wire_units(evidence: Mapping[str, float]) -> dict[str, int]:
    """Return the evidence of a verdict in whole units of its last decimal."""
    return {code: round(value * WIRE_UNITS) for code, value in evidence.items()}


def exact_thresholds(policy: Policy, curves: RiskCurves, must_curves: RiskCurves | None = None) -> ExactThresholds:
    """Return where a policy's decisions change.

    Args:
        policy: Its rates, and how firmly it bans what it bans.
        curves: Under the categories that must or should not carry an ad.
        must_curves: Under those that must not; None where that is the same.
    """
    units = 10**curves.decimals
    if not policy.counted:
        return ExactThresholds(units, allow_below=units + 1, block_from=units + 1)
    allow_below = _allow_below(curves.banned_scores, policy.max_banned_to_safe_rate, units)
    if not policy.must:
        return ExactThresholds(units, allow_below, block_from=units + 1)
    safe_scores = (must_curves or curves).safe_scores
    return ExactThresholds(units, allow_below, _block_from(safe_scores, policy.max_safe_to_banned_rate, units))


def _allow_below(banned_scores: ScoreArray, rate: float, units: int) -> int:
    n_passing = _most_within(len(banned_scores), rate)
    if n_passing < 0:
        return 0
    # At most `n_passing` chats score as high as a score that is below the next one; ties with it would be too many.
    return _in_units(banned_scores[n_passing], units)


def _block_from(safe_scores: ScoreArray, rate: float, units: int) -> int:
    n_lost = _most_within(len(safe_scores), rate)
    if n_lost < 0:
        return units + 1
    return _in_units(safe_scores[-1 - n_lost], units) + 1


def _most_within(n_chats: int, rate: float) -> int:
    """Return the largest k for which (1 + k) / (1 + n_chats) is at most the rate; -1 where there is none.

    It is less than `n_chats`, since the rate is below 1.
    """
    k = min(n_chats - 1, int(rate * (1 + n_chats)))
    # The quotient as `RiskCurves` takes it: another rounding would move a threshold by one chat.
    while k >= 0 and (1 + k) / (1 + n_chats) > rate:
        k -= 1
    return k


def _in_units(score: float, units: int) -> int:
    return int(np.rint(score * units))
