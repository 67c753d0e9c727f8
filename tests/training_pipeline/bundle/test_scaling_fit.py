"""The fits find what the labels were drawn with, and the choice is made by likelihood on other chats."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from model.calibration import FloatArray, LogitScaling
from schemas import CHAT_13
from tests.training_pipeline.chat_13 import GROUPS
from training_pipeline.bundle.calibrate import calibrate
from training_pipeline.bundle.scaling_fit import (
    ScalingKind,
    choose_kind,
    fit_class_groups,
    fit_temperature,
    negative_log_likelihood,
    scaling_of,
)

BANNED = sorted(CHAT_13.banned)
SAFE = [code for code in CHAT_13.codes if code not in BANNED]


def _chats(scaling: LogitScaling, n_chats: int, seed: int) -> tuple[FloatArray, NDArray[np.int64]]:
    """Draw logits, and labels from the distribution that the logits mean under this scaling."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=3.0, size=(n_chats, len(CHAT_13.codes))).astype(np.float32)
    cumulated = scaling.probabilities(logits).astype(np.float64).cumsum(axis=1)
    labels = (rng.random((n_chats, 1)) > cumulated).sum(axis=1)
    return logits, np.minimum(labels, len(CHAT_13.codes) - 1)


def test_the_group_fit_finds_the_temperatures_and_the_bias_the_labels_were_drawn_with() -> None:
    """Three numbers, each with its own meaning; the safe bias is fixed at 0."""
    drawn = LogitScaling.of_groups([(BANNED, 0.7, 0.6), (SAFE, 1.5, 0.0)], CHAT_13.codes)
    banned, safe = fit_class_groups(*_chats(drawn, 8_000, 1), GROUPS)
    assert (banned.temperature, safe.temperature) == pytest.approx((0.7, 1.5), rel=0.1)
    assert banned.bias == pytest.approx(0.6, abs=0.15)
    assert safe.bias == 0.0


def test_the_choice_takes_groups_where_they_are_real_and_one_temperature_where_they_are_not() -> None:
    """By chance alone the larger model fits its own chats better; on fresh folds it must earn it."""
    uneven = LogitScaling.of_groups([(BANNED, 0.5, 1.0), (SAFE, 1.8, 0.0)], CHAT_13.codes)
    assert choose_kind(*_chats(uneven, 1_500, 2), GROUPS, seed=0)[0] is ScalingKind.CLASS_GROUPS
    kinds = [choose_kind(*_chats(LogitScaling.single(1.3, 13), 300, seed), GROUPS, seed=0)[0] for seed in range(3, 9)]
    assert kinds.count(ScalingKind.TEMPERATURE) >= 5


def test_too_few_chats_of_one_side_keep_the_one_temperature() -> None:
    """Four banned chats cannot be spread over five folds."""
    logits, labels = _chats(LogitScaling.single(1.0, 13), 60, 9)
    labels[:] = CHAT_13.codes.index("A")
    labels[:4] = CHAT_13.codes.index("M")
    assert choose_kind(logits, labels, GROUPS, seed=0) == (ScalingKind.TEMPERATURE, {})


def test_the_temperature_is_the_minimum_that_another_method_finds() -> None:
    """Brent's search without bounds, over the same function."""
    logits, labels = _chats(LogitScaling.single(1.7, 13), 500, 10)

    def cost(log_temperature: float) -> float:
        return negative_log_likelihood(logits, labels, LogitScaling.single(float(np.exp(log_temperature)), 13))

    assert fit_temperature(logits, labels) == pytest.approx(float(np.exp(minimize_scalar(cost).x)), abs=2e-3)


def test_calibration_by_groups_stores_what_serving_will_compute() -> None:
    """calibration.json and the worker must score a chat alike, or ties break against the guarantee."""
    drawn = LogitScaling.of_groups([(BANNED, 0.5, 1.0), (SAFE, 1.8, 0.0)], CHAT_13.codes)
    logits, labels = _chats(drawn, 2_000, 11)
    found = calibrate(logits, labels, GROUPS, temperature_ratio=0.5, seed=1, kind=ScalingKind.AUTO)
    assert found.class_groups is not None
    assert found.summary()["scaling"] == "class-groups"
    assert found.nll_after is not None
    assert found.nll_before is not None
    assert found.nll_after < found.nll_before
    served = scaling_of(found.class_groups, CHAT_13.codes).probabilities(logits)
    assert np.abs(found.probabilities[:, None] - served).max(axis=2).min(axis=1).max() < 1e-5
