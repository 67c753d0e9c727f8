import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from model.bundle.thresholds import thresholds_for
from model.calibration import FloatArray, LogitScaling, RiskCurves, policy_scores, softmax
from schemas import CHAT_13, DEFAULT_POLICY
from tests.training_pipeline.chat_13 import BANNED_COLUMNS, GROUPS
from training_pipeline.bundle.calibrate import calibrate
from training_pipeline.bundle.scaling_fit import fit_temperature, negative_log_likelihood

_BANNED_COLUMNS = [CHAT_13.codes.index(code) for code in sorted(CHAT_13.banned)]


def _chats(n_chats: int, *, temperature: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits, and labels from the distribution that the logits mean at this temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=3.0, size=(n_chats, len(CHAT_13.codes))).astype(np.float32)
    probabilities = softmax(logits, temperature=temperature).astype(np.float64)
    labels = (rng.random((n_chats, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    return logits, np.minimum(labels, len(CHAT_13.codes) - 1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_fit_finds_the_temperature_the_labels_were_drawn_at(temperature: float) -> None:
    """Over- and underconfident models are both put right."""
    logits, labels = _chats(4_000, temperature=temperature, seed=1)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.08)


def test_the_fitted_temperature_lowers_the_negative_log_likelihood() -> None:
    """Calibration must never make the probabilities worse on what it was fitted on."""
    logits, labels = _chats(2_000, temperature=2.0, seed=2)
    fitted = negative_log_likelihood(logits, labels, LogitScaling.single(fit_temperature(logits, labels), 13))
    assert fitted < negative_log_likelihood(logits, labels, LogitScaling.single(1.0, 13))
    assert fitted < negative_log_likelihood(logits, labels, LogitScaling.single(4.0, 13))


def _curves(probabilities: FloatArray, labels: NDArray[np.int64]) -> RiskCurves:
    scores = policy_scores(probabilities.astype(np.float64), BANNED_COLUMNS)
    return RiskCurves.build(scores, BANNED_COLUMNS[labels])


def test_the_chats_behind_the_guarantee_did_not_fit_the_temperature() -> None:
    """One fifth fits, four fifths guarantee, none does both; and the file says what was computed."""
    logits, labels = _chats(500, temperature=2.0, seed=3)
    calibration = calibrate(logits, labels, GROUPS, temperature_ratio=0.2, seed=4)
    assert len(calibration.labels) == 400
    document = orjson.loads(calibration.to_json())
    assert document["labels"] == "".join(CHAT_13.codes[i] for i in calibration.labels)
    np.testing.assert_array_equal(np.array(document["probabilities"], dtype=np.float32), calibration.probabilities)
    kept = softmax(logits, temperature=calibration.temperature)
    assert np.abs(calibration.probabilities[:, None] - kept).max(axis=2).min(axis=1).max() < 1e-5


def test_banned_chats_are_allowed_at_most_as_often_as_the_policy_accepts() -> None:
    """The promise to the advertiser, on average over calibration sets; exchangeable chats, small sets."""
    target, n_allowed, n_banned = 0.1, 0, 0
    for seed in range(300):
        logits, labels = _chats(160, temperature=1.0, seed=seed)
        probabilities = softmax(logits)
        curves = _curves(probabilities[:80], labels[:80])
        new = np.flatnonzero(np.isin(labels[80:], _BANNED_COLUMNS)) + 80
        risks = [curves.banned_to_safe_risk(float(probabilities[i, _BANNED_COLUMNS].sum())) for i in new]
        n_banned += len(new)
        n_allowed += sum(risk <= target for risk in risks)
    standard_error = (target * (1 - target) / n_banned) ** 0.5
    assert n_allowed / n_banned <= target + 3 * standard_error
    assert n_allowed > 0


def test_thresholds_are_the_last_allowed_and_the_first_blocked_calibration_score() -> None:
    """What a person reads in the manifest is what `DecisionRule` does with the curves."""
    logits, labels = _chats(2_000, temperature=1.0, seed=5)
    curves = _curves(softmax(logits), labels)
    found = thresholds_for(curves, DEFAULT_POLICY)
    scores = np.concatenate([curves.banned_scores, curves.safe_scores])
    for score in map(float, scores):
        allowed = curves.banned_to_safe_risk(score) <= DEFAULT_POLICY.max_banned_to_safe_rate
        blocked = curves.safe_to_banned_risk(score) <= DEFAULT_POLICY.max_safe_to_banned_rate
        assert allowed == (score <= found.allow_up_to)
        assert blocked == (score >= found.block_from)


def test_too_few_calibration_chats_allow_and_block_nothing() -> None:
    """With nine banned chats no risk below a tenth can be promised, so nothing is."""
    probabilities = np.full((18, len(CHAT_13.codes)), 1 / len(CHAT_13.codes), dtype=np.float32)
    labels = np.array([CHAT_13.codes.index("A"), CHAT_13.codes.index("M")] * 9)
    found = thresholds_for(_curves(probabilities, labels), DEFAULT_POLICY)
    assert (found.allow_up_to, found.block_from) == (0.0, 1.0)
