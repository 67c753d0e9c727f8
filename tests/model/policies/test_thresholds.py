"""Thresholds say what the risk curves say, for every score."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model.calibration import FORMAT_1_DECIMALS, WIRE_DECIMALS, RiskCurves
from model.decision import DecisionRule
from model.policies.thresholds import WIRE_UNITS, ExactThresholds, exact_thresholds, wire_units
from schemas import CHAT_13, DEFAULT_POLICY, Decision, Policy
from schemas.policy import Enforcement

BANNED = sorted(DEFAULT_POLICY.banned)
RATES = st.floats(0, 1, exclude_min=True, exclude_max=True)
SCORES = st.lists(st.integers(0, 40), max_size=30)
"""Few values, so that most are tied."""


def policy(**changes: object) -> Policy:
    """Return the default policy with other fields."""
    return DEFAULT_POLICY.model_copy(update=changes)


def curves(banned: list[int], safe: list[int], decimals: int = WIRE_DECIMALS, step: int = 25_000) -> RiskCurves:
    """Return the curves of chats with these scores, in steps of so many units."""
    arrays = [
        np.sort(np.minimum(1.0, np.array(scores, dtype=np.float64) * step / 10**decimals)) for scores in (banned, safe)
    ]
    return RiskCurves(arrays[0], arrays[1], decimals)


def by_risk(allow: RiskCurves, block: RiskCurves, one: Policy, scores: tuple[float, float]) -> Decision:
    """Return what the definition of the risks says of a chat whose category is not banned."""
    if allow.banned_to_safe_risk(scores[0]) <= one.max_banned_to_safe_rate:
        return Decision.ALLOW
    return Decision.BLOCK if block.safe_to_banned_risk(scores[1]) <= one.max_safe_to_banned_rate else Decision.REVIEW


@given(banned=SCORES, safe=SCORES, rates=st.tuples(RATES, RATES), decimals=st.sampled_from([5, 6]))
@example(banned=[0] * 19, safe=[40] * 49, rates=(0.05, 0.02), decimals=6)
@example(banned=[1] * 18, safe=[1] * 48, rates=(0.05, 0.02), decimals=6)
@example(banned=[40] * 99, safe=[0] * 99, rates=(0.07, 0.29), decimals=5)
def test_on_and_around_every_score_they_decide_as_the_curves(
    banned: list[int], safe: list[int], rates: tuple[float, float], decimals: int
) -> None:
    """Ties, rates that no float hits, too few chats for a decision, none at all."""
    one = policy(max_banned_to_safe_rate=rates[0], max_safe_to_banned_rate=rates[1])
    found, units = curves(banned, safe, decimals), 10**decimals
    thresholds = exact_thresholds(one, found)
    steps = {score * 25_000 + off for score in (*banned, *safe, 0, 40) for off in (-1, 0, 1)}
    for score in sorted({min(max(step, 0), units) for step in steps}):
        expected = by_risk(found, found, one, (score / units, score / units))
        assert thresholds.decision(score, score, may_be_allowed=True) is expected
        assert thresholds.decision(score, score, may_be_allowed=False) is not Decision.ALLOW


@given(
    values=st.lists(st.integers(0, WIRE_UNITS), min_size=3, max_size=3),
    banned=SCORES,
    safe=SCORES,
    decimals=st.sampled_from([FORMAT_1_DECIMALS, WIRE_DECIMALS]),
    category=st.sampled_from("DF"),
)
@example(values=[15, 25, 35], banned=[1] * 20, safe=[2] * 60, decimals=5, category="F")
def test_from_evidence_they_decide_as_the_rule(
    values: list[int], banned: list[int], safe: list[int], decimals: int, category: str
) -> None:
    """Sums above 1, and halves of five decimals, which calibration may have rounded either way."""
    evidence = dict.fromkeys(CHAT_13.codes, 0.0)
    evidence |= dict(zip(BANNED, [value / WIRE_UNITS for value in values], strict=True))
    rule = DecisionRule(DEFAULT_POLICY, curves(banned, safe, decimals, step=1))
    thresholds, units = exact_thresholds(rule.policy, rule.curves), wire_units(evidence)
    found = thresholds.decision(
        thresholds.allow_score(units, BANNED),
        thresholds.block_score(units, BANNED),
        may_be_allowed=category not in BANNED,
    )
    assert found is rule.judgement(evidence, category=category).decision


def test_must_and_should_have_thresholds_of_their_own_curves() -> None:
    """`should` counts against `allow` alone."""
    one = policy(enforcement={"D": Enforcement.SHOULD, "J": Enforcement.MAY})
    both, must = curves(list(range(39)), [0] * 60), curves([40] * 30, list(range(40)) + [0] * 20)
    found = exact_thresholds(one, both, must)
    assert found == exact_thresholds(one, RiskCurves(both.banned_scores, must.safe_scores))
    assert found.block_from == exact_thresholds(policy(), must).block_from


@pytest.mark.parametrize(
    ("enforcement", "expected"),
    [
        (dict.fromkeys(BANNED, Enforcement.MAY), (1_000_001, 1_000_001)),
        (dict.fromkeys(BANNED, Enforcement.SHOULD), (25_000, 1_000_001)),
    ],
)
def test_what_is_not_banned_firmly_is_never_blocked(
    enforcement: dict[str, Enforcement], expected: tuple[int, int]
) -> None:
    """And with `may` alone nothing is banned."""
    found = exact_thresholds(policy(enforcement=enforcement), curves(list(range(1, 21)), [0] * 99))
    assert found[1:] == expected


def test_without_calibration_nothing_is_allowed_or_blocked() -> None:
    """Both risks are 1."""
    assert exact_thresholds(DEFAULT_POLICY, curves([], [])) == ExactThresholds(1_000_000, 0, 1_000_001)


@pytest.mark.parametrize("decimals", [5, 6])
def test_on_the_wire_they_have_as_many_decimals_as_calibration(decimals: int) -> None:
    """`never` is a score that no chat has."""
    found = ExactThresholds(10**decimals, 12_345, 10**decimals + 1)
    assert found.on_the_wire == (float(f"{12_345 / 10**decimals:.{decimals}f}"), 1 + 10**-decimals)
