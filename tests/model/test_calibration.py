"""Probabilities and risks: what is promised about them holds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model.calibration import FloatArray, RiskCurves, banned_mask, policy_scores, softmax
from schemas import CHAT_13

LOGITS = hnp.arrays(np.float32, (5, 13), elements=st.floats(-1e4, 1e4, width=32))
SCORES = st.floats(0, 1)
N_CODES = len(CHAT_13.codes)


def curves(banned: list[float], safe: list[float]) -> RiskCurves:
    """Return risk curves over these calibration scores."""
    return RiskCurves(np.sort(np.array(banned, np.float32)), np.sort(np.array(safe, np.float32)))


@given(logits=LOGITS, temperature=st.floats(0.05, 20))
def test_probabilities_are_a_distribution(logits: FloatArray, temperature: float) -> None:
    """Readers of a verdict may add them up."""
    probabilities = softmax(logits, temperature=temperature)
    assert probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-6)


@given(logits=LOGITS, temperature=st.floats(0.05, 20))
def test_the_most_probable_category_is_that_of_the_largest_logit(logits: FloatArray, temperature: float) -> None:
    """Calibration changes confidence, never the category."""
    probabilities = softmax(logits, temperature=temperature)
    rows = np.arange(len(logits))
    assert np.allclose(probabilities[rows, logits.argmax(axis=1)], probabilities.max(axis=1))


@given(
    logits=hnp.arrays(np.float32, (3, 13), elements=st.floats(-50, 50, width=32)), shift=st.floats(-100, 100, width=32)
)
def test_adding_a_constant_to_all_logits_changes_nothing(logits: FloatArray, shift: float) -> None:
    """Only differences of logits carry meaning."""
    assert np.allclose(softmax(logits), softmax(logits + np.float32(shift)), atol=1e-4)


def test_a_higher_temperature_is_less_sure() -> None:
    """The direction of the calibration divisor."""
    logits = np.array([[3, 1, 0]], np.float32)
    assert softmax(logits, temperature=4).max() < softmax(logits, temperature=1).max()


@pytest.mark.parametrize("temperature", [0, -1, float("nan")])
def test_a_temperature_that_is_not_positive_is_refused(temperature: float) -> None:
    """It would turn the order of the categories round."""
    with pytest.raises(ValueError, match="temperature"):
        softmax(np.array([[1, 2]], np.float32), temperature=temperature)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_logit_that_is_no_number_is_refused(bad: float) -> None:
    """NaN passes every comparison in the wrong direction, an unsafe `allow` among them."""
    with pytest.raises(ValueError, match="finite"):
        softmax(np.array([[1, bad]], np.float32))


def test_the_score_is_the_sum_over_the_banned_categories() -> None:
    """And over nothing else; of none it is 0."""
    row = np.arange(N_CODES) / 100
    expected = sum(row[CHAT_13.columns[code]] for code in CHAT_13.banned)
    assert policy_scores(row[None], banned_mask(CHAT_13.banned, CHAT_13.codes))[0] == pytest.approx(expected)
    assert policy_scores(row[None], banned_mask([], CHAT_13.codes))[0] == 0


def test_without_any_calibration_chat_both_risks_are_1() -> None:
    """Nobody has measured anything, so nothing is promised."""
    risk = curves([], [])
    assert not risk.is_calibrated
    assert (risk.banned_to_safe_risk(0), risk.safe_to_banned_risk(1)) == (1, 1)


@given(
    banned=st.lists(SCORES, min_size=1, max_size=60),
    safe=st.lists(SCORES, min_size=1, max_size=60),
    one=SCORES,
    other=SCORES,
)
def test_risks_are_monotone_and_between_0_and_1(
    banned: list[float], safe: list[float], one: float, other: float
) -> None:
    """A chat that looks more banned can never be the safer one to allow."""
    risk = curves(banned, safe)
    low, high = sorted((one, other))
    assert 0 < risk.banned_to_safe_risk(low) <= risk.banned_to_safe_risk(high) <= 1
    assert 0 < risk.safe_to_banned_risk(high) <= risk.safe_to_banned_risk(low) <= 1


def test_no_score_has_a_risk_of_0_however_low() -> None:
    """A set of n calibration chats cannot vouch for less than 1 / (n + 1)."""
    assert curves([0.5] * 99, [0.1]).banned_to_safe_risk(0) == pytest.approx(0.01)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("n_calibration", [19, 100])
def test_the_share_of_banned_chats_that_pass_stays_under_the_target(alpha: float, n_calibration: int) -> None:
    """The finite-sample guarantee itself: P(risk <= alpha) <= alpha over calibration sets and new banned chats.

    20,000 simulated pairs: the standard error of the share is at most 0.0033.
    """
    random = np.random.default_rng(1)
    n_rounds = 20_000
    scores = random.beta(5, 2, size=(n_rounds, n_calibration + 1)).astype(np.float32)
    n_allowed = sum(curves(list(row[:-1]), [0.0]).banned_to_safe_risk(float(row[-1])) <= alpha for row in scores)
    assert n_allowed / n_rounds <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / n_rounds)


@pytest.mark.parametrize("is_banned", [True, False])
def test_calibration_chats_of_one_kind_only_are_refused(is_banned: bool) -> None:
    """They say nothing about one of the two errors."""
    with pytest.raises(ValueError, match="expected some banned and some safe ones"):
        RiskCurves.build(np.full(4, 0.5), np.full(4, is_banned))
