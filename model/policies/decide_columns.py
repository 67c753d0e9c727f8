"""What a policy decides on many verdicts at once. Pure.

Verdict by verdict the answer to a moved slider takes seconds; over columns it takes milliseconds.

Invariant: decisions, risks and rates are those of `model.policies.simulate.Side`, to the last digit.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.calibration import ScoreArray
from model.decision import SEVERITY, DecisionRule
from model.policies.policy_set import PolicySet
from model.policies.simulate import Side
from model.policies.thresholds import WIRE_UNITS
from model.policies.verdict_columns import UNKNOWN_LENGTH, VerdictColumns
from schemas import Decision

_ALLOW, _REVIEW, _BLOCK = SEVERITY[Decision.ALLOW], SEVERITY[Decision.REVIEW], SEVERITY[Decision.BLOCK]

Decisions = NDArray[np.uint8]
"""uint8 [n_verdicts], as `model.decision.SEVERITY` numbers them."""


class SaidColumns(NamedTuple):
    """What one policy says of verdicts; see `model.policies.simulate.Said`."""

    decisions: Decisions
    risks: ScoreArray
    """float64 [n_verdicts], banned-to-safe risks."""
    allowed_from: ScoreArray
    """float64 [n_verdicts], the accepted rate from which on it allows; NaN where none would do."""

    def of(self, rows: NDArray[np.intp]) -> "SaidColumns":
        """Return some rows."""
        return SaidColumns(self.decisions[rows], self.risks[rows], self.allowed_from[rows])


def said_of(side: Side, verdicts: VerdictColumns) -> SaidColumns:
    """Return what a policy says of verdicts of its bundle."""
    decisions = decisions_of(side.at_its_rate, verdicts)
    risks = _risks(side.at_its_rate.default, verdicts)
    could_be = (decisions == _ALLOW) | (decisions_of(side.at_any_rate, verdicts) == _ALLOW)
    return SaidColumns(decisions, risks, np.where(could_be, risks, np.nan))


def decisions_of(policies: PolicySet, verdicts: VerdictColumns) -> Decisions:
    """Return the default policy's decisions, behind the floor, as if it were in force."""
    rule = policies.default
    decisions = np.maximum(_by_evidence(rule, verdicts), _at_best(rule, verdicts))
    if policies.floor is not None:
        # Where it says `block` that is final; where it says `review` it only takes `allow` away.
        decisions = np.maximum(decisions, _by_evidence(policies.floor, verdicts))
    return decisions.astype(np.uint8)


def _by_evidence(rule: DecisionRule, verdicts: VerdictColumns) -> Decisions:
    policy, cut = rule.policy, rule.thresholds
    counted = _mask(policy.counted, verdicts)
    allow = _scores(rule, counted, verdicts, for_allow=True)
    block = _scores(rule, _mask(policy.must, verdicts), verdicts, for_allow=False)
    is_allowed = (allow < cut.allow_below) & ~counted[verdicts.category]
    undecided = np.where(block >= cut.block_from, _BLOCK, _REVIEW)
    # Where nothing counts, `allow_below` is above every score.
    return np.where(is_allowed, _ALLOW, undecided).astype(np.uint8)


def _scores(
    rule: DecisionRule, counted: NDArray[np.bool_], verdicts: VerdictColumns, *, for_allow: bool
) -> NDArray[np.int64]:
    """Return int64 [n_verdicts]: `ExactThresholds.allow_score` or `.block_score`, at most 1."""
    units = rule.thresholds.units
    evidence = verdicts.evidence[:, counted]
    if units != WIRE_UNITS:
        step = WIRE_UNITS // units
        half = step // 2 if for_allow else (step - 1) // 2
        evidence = (evidence + half) // step
    scores: NDArray[np.int64] = np.minimum(units, evidence.sum(axis=1, dtype=np.int64))
    return scores


def _risks(rule: DecisionRule, verdicts: VerdictColumns) -> ScoreArray:
    curves, counted = rule.curves, rule.policy.counted
    if not counted:
        return np.full(verdicts.n, 0.0 if curves.is_calibrated else 1.0)
    scores = _scores(rule, _mask(counted, verdicts), verdicts, for_allow=True)
    banned = np.rint(curves.banned_scores * rule.thresholds.units).astype(np.int64)
    risks: ScoreArray = (1 + np.searchsorted(banned, scores, side="right")) / (1 + len(banned))
    return risks


def _at_best(rule: DecisionRule, verdicts: VerdictColumns) -> Decisions:
    """Return the best that the policy leaves each chat."""
    limits = np.zeros((len(verdicts.readings), 2), dtype=np.uint8)
    for place, reading in enumerate(verdicts.readings):
        for is_too_long, longest in enumerate((0, None)):
            word = rule.at_best(reading.unevaluated, reading.language, longest)
            limits[place, is_too_long] = _ALLOW if word is None else SEVERITY[word.decision]
    return limits[verdicts.reading, _too_long(rule.policy.max_message_characters, verdicts).astype(np.intp)]


def _too_long(most: int | None, verdicts: VerdictColumns) -> NDArray[np.bool_]:
    if most is None:
        return np.zeros(verdicts.n, dtype=np.bool_)
    found: NDArray[np.bool_] = (verdicts.longest > most) | (verdicts.longest == UNKNOWN_LENGTH)
    return found


def _mask(codes: frozenset[str], verdicts: VerdictColumns) -> NDArray[np.bool_]:
    return np.array([code in codes for code in verdicts.codes], dtype=np.bool_)
