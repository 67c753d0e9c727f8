"""The decision table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.bundle.thresholds import thresholds_for
from model.calibration import RiskCurves
from model.decision import decide
from schemas import DEFAULT_POLICY, Decision

CURVES = RiskCurves(np.linspace(0.2, 1, 99, dtype=np.float32), np.linspace(0, 0.8, 99, dtype=np.float32))
POINTS = thresholds_for(CURVES, DEFAULT_POLICY)


@pytest.mark.parametrize(
    ("category", "score", "expected"),
    [
        pytest.param("F", 0.0, Decision.ALLOW, id="surely safe"),
        pytest.param("F", 0.21, Decision.ALLOW, id="risk just within the target"),
        pytest.param("F", 0.5, Decision.REVIEW, id="neither sure"),
        pytest.param("F", 0.9, Decision.BLOCK, id="surely banned, though the top category is safe"),
        pytest.param("D", 0.0, Decision.REVIEW, id="low score, but the top category is banned"),
        pytest.param("D", 0.5, Decision.REVIEW, id="banned category, not sure enough to block"),
        pytest.param("M", 1.0, Decision.BLOCK, id="surely banned"),
    ],
)
def test_the_decision_follows_the_two_risks(category: str, score: float, expected: Decision) -> None:
    """Allow only within the brand-safety target, block only within the revenue target, else let a person look."""
    found = decide(category=category, banned_probability=score, curves=CURVES, policy=DEFAULT_POLICY)
    assert found.decision is expected
    assert found.banned_to_safe_risk == CURVES.banned_to_safe_risk(score)


@given(score=st.floats(0, 1))
def test_a_banned_category_is_never_allowed(score: float) -> None:
    """Whatever the score says."""
    found = decide(category="J", banned_probability=score, curves=CURVES, policy=DEFAULT_POLICY)
    assert found.decision is not Decision.ALLOW


@given(one=st.floats(0, 1), other=st.floats(0, 1))
def test_a_higher_score_never_gets_the_milder_decision(one: float, other: float) -> None:
    """Advertisers would rightly ask why."""
    order = [Decision.ALLOW, Decision.REVIEW, Decision.BLOCK]
    low, high = (
        order.index(decide(category="F", banned_probability=s, curves=CURVES, policy=DEFAULT_POLICY).decision)
        for s in sorted((one, other))
    )
    assert low <= high


def test_the_thresholds_in_the_manifest_are_the_edges_of_the_decisions() -> None:
    """What people read in a bundle must be what the worker does."""
    edge = decide(category="F", banned_probability=POINTS.allow_up_to, curves=CURVES, policy=DEFAULT_POLICY)
    assert edge.decision is Decision.ALLOW
    edge = decide(category="F", banned_probability=POINTS.block_from, curves=CURVES, policy=DEFAULT_POLICY)
    assert edge.decision is Decision.BLOCK


def test_a_stricter_policy_allows_less() -> None:
    """An advertiser changes the target, not the model."""
    strict = DEFAULT_POLICY.model_copy(update={"max_banned_to_safe_rate": 0.005})
    assert decide(category="F", banned_probability=0.0, curves=CURVES, policy=strict).decision is Decision.REVIEW
