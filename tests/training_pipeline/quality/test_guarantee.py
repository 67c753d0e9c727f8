"""The check of the guarantee is itself checked: against brute force, against MAPIE, and on bundles that break it."""

import warnings

import numpy as np
import pytest
from mapie.risk_control import MultiLabelClassificationController
from numpy.typing import NDArray
from typer.testing import CliRunner

from model.calibration import RiskCurves, ScoreArray, policy_scores
from schemas import CHAT_13, DEFAULT_POLICY, Policy
from tests.training_pipeline.chat_13 import BANNED_COLUMNS
from training_pipeline.command_line import app
from training_pipeline.quality.guarantee import (
    ErrorKind,
    check_bundle,
    check_by_splits,
    error_distribution,
    expected_rate,
)

_A, _M = CHAT_13.codes.index("A"), CHAT_13.codes.index("M")


def _chats(banned: NDArray[np.float64], safe: NDArray[np.float64]) -> tuple[ScoreArray, NDArray[np.int64]]:
    """Return chats with these banned probabilities: the rest of the mass on one safe category."""
    scores = np.concatenate([banned, safe])
    probabilities = np.zeros((len(scores), len(CHAT_13.codes)), dtype=np.float64)
    probabilities[:, _M], probabilities[:, _A] = scores, 1 - scores
    return probabilities, np.array([_M] * len(banned) + [_A] * len(safe))


def _curves(evidence: ScoreArray, labels: NDArray[np.int64]) -> RiskCurves:
    return RiskCurves.build(policy_scores(evidence, BANNED_COLUMNS), BANNED_COLUMNS[labels])


def _drawn(n_banned: int, n_safe: int, seed: int) -> tuple[ScoreArray, NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    return _chats(rng.beta(5, 2, n_banned), rng.beta(2, 5, n_safe))


@pytest.mark.parametrize(("n_calibration", "target"), [(19, 0.05), (20, 0.05), (18, 0.05), (173, 0.02), (99, 0.3)])
def test_the_exact_expectation_is_the_rank_argument_of_theorem_1(n_calibration: int, target: float) -> None:
    """By brute force: a fresh chat has each of the n + 1 ranks equally often, and passes with the ranks that may."""
    curves = RiskCurves(np.arange(1.0, n_calibration + 1), np.zeros(1))
    risks = [curves.banned_to_safe_risk(rank + 0.5) for rank in range(n_calibration + 1)]
    passing = sum(risk <= target for risk in risks)
    assert expected_rate(n_calibration, target) == passing / (n_calibration + 1)
    assert expected_rate(n_calibration, target) <= target


def test_the_number_of_errors_among_fresh_chats_is_beta_binomial() -> None:
    """4,000 simulated calibration sets: mean and spread of the errors among 50 fresh chats."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(4_000):
        calibration, fresh = np.sort(rng.random(99)), rng.random(50)
        found.append(int((fresh < calibration[9]).sum()))  # the 10th of 99: target 0.1
    expected = error_distribution(99, 50, 0.1)
    assert np.mean(found) == pytest.approx(expected.mean(), abs=4 * expected.std() / 4_000**0.5)
    assert np.std(found) == pytest.approx(expected.std(), rel=0.06)


def test_repeated_splits_come_out_as_theory_says() -> None:
    """The mean over splits is the exact expectation, on both sides of the pair, and so are the quantiles."""
    probabilities, labels = _drawn(200, 400, seed=2)
    for check in check_by_splits(probabilities, labels, DEFAULT_POLICY, CHAT_13.codes, n_splits=300):
        assert check.holds
        assert check.mean_rate == pytest.approx(check.expected_rate, abs=4 * check.standard_error + 1e-4)
        assert check.quantiles == pytest.approx(check.expected_quantiles, abs=0.025)


def test_scores_that_tie_stay_on_the_safe_side() -> None:
    """Half of the banned chats have one and the same score: no threshold may let that many pass."""
    probabilities, labels = _chats(np.round(np.random.default_rng(3).beta(5, 2, 200), 1), np.full(100, 0.1))
    banned, _ = check_by_splits(probabilities, labels, DEFAULT_POLICY, CHAT_13.codes, n_splits=100)
    assert banned.mean_rate <= banned.expected_rate + 3 * banned.standard_error


def test_curves_of_the_same_chats_hold_on_fresh_ones_and_curves_of_others_are_found_out() -> None:
    """Calibrated on easy chats, served on hard ones: the interval says so."""
    probabilities, labels = _drawn(300, 600, seed=4)
    curves = _curves(probabilities, labels)
    fresh = check_bundle(curves, *_drawn(300, 600, seed=5), DEFAULT_POLICY, CHAT_13.codes)
    assert all(check.holds and check.low <= check.target for check in fresh)
    rng = np.random.default_rng(6)
    harder = check_bundle(curves, *_chats(rng.beta(2, 4, 300), rng.beta(2, 5, 600)), DEFAULT_POLICY, CHAT_13.codes)
    (banned,) = (check for check in harder if check.error is ErrorKind.BANNED_TO_SAFE)
    assert not banned.holds
    assert banned.low > banned.target


def test_few_fresh_chats_contradict_nothing() -> None:
    """One error of three is a third, and says next to nothing about a target of 5 %."""
    curves = _curves(*_drawn(300, 600, seed=7))
    (check,) = check_bundle(curves, *_chats(np.array([0.01, 0.9, 0.9]), np.array([])), DEFAULT_POLICY, CHAT_13.codes)
    assert (check.n_errors, check.n_fresh) == (1, 3)
    assert check.holds


@pytest.mark.parametrize("target", [0.05, 0.1, 0.2])
def test_the_threshold_is_the_one_that_mapie_chooses(target: float) -> None:
    """MAPIE's conformal risk control of recall, each banned chat one sample with one label, on a grid of 0.01."""
    scores = np.round(np.random.default_rng(8).beta(5, 2, 150), 2) + 0.005
    controller = MultiLabelClassificationController(
        predict_function=lambda x: np.column_stack([x[:, 0], x[:, 0]]),
        risk="recall",
        method="crc",
        target_level=1 - target,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        controller.calibrate(scores[:, None], np.ones((len(scores), 2), dtype=int))
    curves = RiskCurves(np.sort(scores), np.zeros(1))
    allowed = [cut for cut in controller.predict_params if curves.banned_to_safe_risk(float(cut)) <= target]
    assert float(controller.best_predict_param[0]) == pytest.approx(max(allowed))


def test_the_command_checks_the_shipped_bundle_and_ends_with_0_where_the_promise_stands() -> None:
    """Its calibration chats ship with it, so anybody can run this."""
    result = CliRunner().invoke(app, ["verify-guarantee", "--splits", "50", "--threads", "1"])
    assert result.exit_code == 0, result.output
    assert "holds" in result.output


def test_a_policy_whose_banned_set_has_too_few_chats_is_refused() -> None:
    """One banned chat cannot be on both sides of a split."""
    probabilities, labels = _chats(np.array([0.9]), np.full(30, 0.1))
    policy = Policy(
        name="one", version="1", banned=DEFAULT_POLICY.banned, max_banned_to_safe_rate=0.1, max_safe_to_banned_rate=0.1
    )
    with pytest.raises(ValueError, match="expected two of each side"):
        check_by_splits(probabilities, labels, policy, CHAT_13.codes, n_splits=2)
