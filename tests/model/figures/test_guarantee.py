"""What a policy promises, on calibration chats that can be counted by hand."""

import numpy as np
import pytest

from model.calibration import RiskCurves
from model.decision import DecisionRule
from model.figures.guarantee import guarantee_of
from schemas import DEFAULT_POLICY, Policy

BANNED, SAFE = np.arange(1, 100) / 100, np.arange(0, 49) / 100
CURVES = RiskCurves(BANNED, SAFE)


def policy(**fields: object) -> Policy:
    """Return the default policy, changed."""
    return DEFAULT_POLICY.model_copy(update=fields)


def test_the_bound_is_that_of_the_threshold_in_use() -> None:
    """Of 99 banned chats four may pass at 5 %: (1 + 4) / (1 + 99). Of 49 safe ones one is lost at 5 %: 2 / 50."""
    found = guarantee_of(DecisionRule(policy(max_safe_to_banned_rate=0.05), CURVES))
    passed, lost = found.banned_to_safe, found.safe_to_banned
    assert (passed.accepted, passed.bound, passed.threshold) == (0.05, 0.05, 0.05)
    assert (passed.n, passed.of, passed.n_needed) == (4, 99, 19)
    assert (passed.low, passed.high) == pytest.approx((0.0111167, 0.1002279), abs=1e-5)
    assert (lost.accepted, lost.bound, lost.n, lost.of) == (0.05, 0.04, 1, 49)
    assert lost.threshold == pytest.approx(0.470001)
    assert found.is_calibrated
    assert found.is_anything_banned


def test_a_rate_that_too_few_chats_can_show_promises_nothing() -> None:
    """A risk of 99 chats is 1 % at least."""
    passed = guarantee_of(DecisionRule(policy(max_banned_to_safe_rate=0.009), CURVES)).banned_to_safe
    assert (passed.threshold, passed.bound, passed.n, passed.low) == (None, None, 0, None)
    assert passed.n_needed == 111


def test_where_nothing_is_banned_or_calibrated_there_is_no_interval() -> None:
    """And it is said which of the two it is."""
    none = guarantee_of(DecisionRule(policy(banned=frozenset()), RiskCurves(np.zeros(0), SAFE)))
    assert not none.is_anything_banned
    assert none.banned_to_safe.threshold is None
    bare = guarantee_of(DecisionRule(policy(), RiskCurves(np.zeros(0), np.zeros(0))))
    assert not bare.is_calibrated
    assert (bare.banned_to_safe.low, bare.safe_to_banned.high) == (None, None)
