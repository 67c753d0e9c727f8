"""Percentile bootstrap intervals for what is no plain proportion, from one set of resamples; see `exact` for those.

Chats are drawn with replacement and every figure is computed again on each draw, thresholds of operating points
included. The draws depend on seed and number of chats only, so two models on the same chats share them, and the
difference of their figures, draw by draw, is the paired bootstrap of the difference.

Source: Efron, Tibshirani, An Introduction to the Bootstrap (1993), ch. 13 (percentile interval); the draws are those of
`scipy.stats.bootstrap`, which the tests compare with.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from training_pipeline.quality.evaluate import OPERATING_POINTS, Predictions
from training_pipeline.quality.metrics import (
    CALIBRATION_BINS,
    NO_ANSWER,
    Columns,
    banned_scores,
    operating_threshold,
)
from training_pipeline.report.document import Interval
from training_pipeline.report.exact import CONFIDENCE

Floats = NDArray[np.float64]
Draws = NDArray[np.int64]

_DRAWN_CHATS_AT_ONCE: Final = 400_000
"""Bounds the memory of one block of draws, whatever the number of chats."""


def draws(n_chats: int, n_resamples: int, seed: int) -> Iterator[Draws]:
    """Yield blocks of resamples, int64 [n_block, n_chats] of positions; the same for the same arguments."""
    rng = np.random.default_rng(seed)
    n_block = max(1, _DRAWN_CHATS_AT_ONCE // n_chats)
    for start in range(0, n_resamples, n_block):
        yield rng.integers(0, n_chats, (min(n_block, n_resamples - start), n_chats))


def figures_per_draw(predictions: Predictions, banned: Columns, n_resamples: int, seed: int) -> dict[str, Floats]:
    """Return each figure on each resample, float64 [n_resamples]; NaN where a draw holds no banned or no safe chat."""
    statistics = _Statistics(predictions, banned)
    blocks = [statistics.on(block) for block in draws(len(predictions), n_resamples, seed)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def figures_once(predictions: Predictions, banned: Columns) -> dict[str, float]:
    """Return the same figures on the chats as they are."""
    whole = np.arange(len(predictions))[None, :]
    return {name: float(values[0]) for name, values in _Statistics(predictions, banned).on(whole).items()}


def interval(value: float, per_draw: Floats | None) -> Interval:
    """Return a figure with the middle 95 % of its resamples; without bounds where there are none."""
    if per_draw is None or np.isnan(per_draw).all():
        return Interval(value=round(value, 4))
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.nanpercentile(per_draw, [tail, 100 - tail])
    return Interval(value=round(value, 4), low=round(float(low), 4), high=round(float(high), 4))


class _Statistics:
    """The figures of one model as functions of drawn positions.

    Args:
        predictions: What the model said.
        banned: bool [n_categories], the banned columns.
    """

    def __init__(self, predictions: Predictions, banned: Columns) -> None:
        self._mask, self._n = banned, len(banned)
        self._truly_banned = self._mask[predictions.labels]
        named = np.where(predictions.predicted == NO_ANSWER, self._n, predictions.predicted)
        self._cells = predictions.labels * (self._n + 1) + named
        self._scores: NDArray[np.float32] | None = None
        if predictions.has_scores:
            self._scores = banned_scores(predictions.labels, predictions.scored, banned)
            self._answered = predictions.predicted != NO_ANSWER
            confidence = np.nan_to_num(predictions.probabilities.max(axis=1)).astype(np.float64)
            self._bins = np.minimum((confidence * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
            right = predictions.predicted == predictions.labels
            self._gaps = np.where(self._answered, confidence - right, 0.0)

    def on(self, block: Draws) -> dict[str, Floats]:
        """Return each figure per row of a block of draws."""
        with np.errstate(divide="ignore", invalid="ignore"):  # a draw without banned or safe chats has no such rate
            figures = self._of_categories(block)
            if self._scores is not None:
                figures |= self._of_scores(block, self._scores)
        return figures

    def _of_categories(self, block: Draws) -> dict[str, Floats]:
        n_cells = self._n * (self._n + 1)
        rows = np.arange(len(block))[:, None] * n_cells
        counts = np.bincount((self._cells[block] + rows).ravel(), minlength=len(block) * n_cells)
        confusion = counts.reshape(len(block), self._n, self._n + 1)
        right = np.diagonal(confusion, axis1=1, axis2=2)
        true, named = confusion.sum(axis=2), confusion[:, :, : self._n].sum(axis=1)
        f1 = np.where(true > 0, 2 * right / (true + named), 0.0)
        n_chats = block.shape[1]
        found = {
            "accuracy": right.sum(axis=1) / n_chats,
            "macro_f1": f1.sum(axis=1) / (true > 0).sum(axis=1),
            "weighted_f1": (f1 * true).sum(axis=1) / n_chats,
        }
        if not self._mask.any():
            return found
        # No answer is wrong either way: it passes where the chat is banned, and is lost where it is safe.
        called_safe, called_banned = np.append(~self._mask, [True]), np.append(self._mask, [True])
        passed = confusion[:, self._mask][:, :, called_safe].sum(axis=(1, 2))
        lost = confusion[:, ~self._mask][:, :, called_banned].sum(axis=(1, 2))
        n_banned = true[:, self._mask].sum(axis=1)
        return found | {
            "cross_category_error_rate": (passed + lost) / n_chats,
            "banned_to_safe_rate": passed / n_banned,
            "safe_to_banned_rate": lost / (n_chats - n_banned),
        }

    def _of_scores(self, block: Draws, scores: NDArray[np.float32]) -> dict[str, Floats]:
        figures = self._of_pairs(scores[block], self._truly_banned[block]) if self._mask.any() else {}
        rows = np.arange(len(block))[:, None] * CALIBRATION_BINS
        gaps = np.bincount(
            (self._bins[block] + rows).ravel(), self._gaps[block].ravel(), minlength=len(block) * CALIBRATION_BINS
        )
        gap_per_bin = np.abs(gaps.reshape(len(block), CALIBRATION_BINS))
        figures["expected_calibration_error"] = gap_per_bin.sum(axis=1) / self._answered[block].sum(axis=1)
        return figures

    @staticmethod
    def _of_pairs(drawn: NDArray[np.float32], banned: NDArray[np.bool_]) -> dict[str, Floats]:
        n_banned = banned.sum(axis=1)
        n_safe = banned.shape[1] - n_banned
        figures = {
            f"banned_to_safe_rate_at_safe_to_banned_{rate}": np.array(
                [_passed_at(*row, rate) for row in zip(drawn, banned, strict=True)]
            )
            for rate in OPERATING_POINTS
        }
        # The area is the share of (banned, safe) pairs in the right order (Mann-Whitney U), ties counted by half.
        ranks = np.where(banned, rankdata(drawn, axis=1), 0.0).sum(axis=1)
        figures["roc_auc"] = (ranks - n_banned * (n_banned + 1) / 2) / (n_banned * n_safe)
        return figures


def _passed_at(scores: NDArray[np.float32], banned: NDArray[np.bool_], rate: float) -> float:
    if banned.all() or not banned.any():
        return float("nan")
    return float((scores[banned] <= operating_threshold(scores[~banned], rate)).mean())
