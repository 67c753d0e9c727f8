"""The gate tells a worse candidate from an equal one, and chance from a difference."""

import numpy as np
import pytest

from schemas import CHAT_13
from tests.training_pipeline.chat_13 import BANNED_COLUMNS
from training_pipeline.quality.evaluate import Predictions
from training_pipeline.quality.metrics import banned_to_safe_at
from training_pipeline.release.gate import GateLine, GateMargins, compare_bundles

_N = 900
_MARGINS = GateMargins(n_resamples=400)


def _answers(signal: float, seed: int) -> Predictions:
    """Return answers to the same chats whose quality grows with `signal`."""
    labels = np.random.default_rng(0).integers(0, len(CHAT_13.codes), _N)
    logits = np.random.default_rng(seed).normal(size=(_N, len(CHAT_13.codes)))
    logits[np.arange(_N), labels] += signal
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Predictions(labels, probabilities.argmax(axis=1), probabilities.astype(np.float32), np.full(_N, "review"))


def _failed(lines: list[GateLine]) -> list[str]:
    return [line.figure for line in lines if not line.passes]


def test_a_bundle_is_no_worse_than_itself() -> None:
    """Paired differences of the same answers are zero on every draw, however few the chats are."""
    answers = _answers(3.0, 1)
    lines = compare_bundles(answers, answers, BANNED_COLUMNS, _MARGINS)
    assert _failed(lines) == []
    assert all((line.low, line.difference, line.high) == (0, 0, 0) for line in lines)


def test_a_clearly_worse_candidate_fails_on_the_safety_pair_and_on_accuracy() -> None:
    """And a clearly better one passes every line."""
    good, bad = _answers(5.0, 1), _answers(2.0, 2)
    failed = _failed(compare_bundles(good, bad, BANNED_COLUMNS, _MARGINS))
    assert {"banned->safe at safe->banned 2.9%", "wrong category (1 - accuracy)"} <= set(failed)
    assert any(figure.endswith("M Obscene or Illegal") or ": M " in figure for figure in failed)
    assert _failed(compare_bundles(bad, good, BANNED_COLUMNS, _MARGINS)) == []


def test_the_figures_are_those_that_evaluate_prints() -> None:
    """A gate with rates of its own would be argued about."""
    one, other = _answers(3.0, 1), _answers(3.0, 2)
    line = compare_bundles(one, other, BANNED_COLUMNS, _MARGINS)[0]
    rates = [
        banned_to_safe_at(p.labels, p.probabilities, BANNED_COLUMNS, safe_to_banned_rate=0.029) or 0.0
        for p in (one, other)
    ]
    assert [line.current, line.candidate] == pytest.approx(rates)
    assert line.difference == pytest.approx(rates[1] - rates[0])


def test_the_interval_covers_the_true_difference_as_often_as_it_says() -> None:
    """60 pairs of equally good bundles: the 95 % interval of the accuracy difference holds 0 in nearly all of them."""
    margins = GateMargins(n_resamples=200)
    covered = 0
    for seed in range(60):
        lines = compare_bundles(_answers(3.0, 2 * seed + 1), _answers(3.0, 2 * seed + 2), BANNED_COLUMNS, margins)
        (line,) = (line for line in lines if line.figure.startswith("wrong category"))
        covered += line.low <= 0 <= line.high
    assert covered >= 52  # binomial(60, 0.95) is below that less than once in 200


def test_answers_to_other_chats_are_refused() -> None:
    """A paired comparison of unpaired chats would mean nothing."""
    one = _answers(3.0, 1)
    other = Predictions(one.labels[::-1].copy(), one.predicted, one.probabilities, one.decisions)
    with pytest.raises(ValueError, match="answered different chats"):
        compare_bundles(one, other, BANNED_COLUMNS, _MARGINS)
