"""Curves and tables of one model: ROC, precision and recall, operating points, reliability, confusion.

scikit-learn computes the curves; here they are thinned to what can be drawn.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

from training_pipeline.quality.evaluate import OPERATING_POINTS, Predictions
from training_pipeline.quality.metrics import (
    CALIBRATION_BINS,
    NO_ANSWER,
    Columns,
    banned_scores,
    operating_threshold,
)
from training_pipeline.report.document import Count, Curve, OperatingPoint, ReliabilityBin
from training_pipeline.report.exact import no_narrower
from training_pipeline.report.intervals import Floats, interval

_MAX_POINTS: Final = 250


def roc(predictions: Predictions, banned: Columns) -> Curve:
    """Return the ROC curve of the banned probability."""
    truly_banned, scores = _truth_and_scores(predictions, banned)
    lost, caught, _ = roc_curve(truly_banned, scores)
    return Curve(area=round(float(auc(lost, caught)), 4), points=thinned(lost, caught))


def precision_recall(predictions: Predictions, banned: Columns) -> Curve:
    """Return the precision-recall curve of the banned probability; its area is the average precision."""
    truly_banned, scores = _truth_and_scores(predictions, banned)
    precision, recall, _ = precision_recall_curve(truly_banned, scores, drop_intermediate=True)
    area = float(average_precision_score(truly_banned, scores))
    return Curve(area=round(area, 4), points=thinned(recall[::-1], precision[::-1]))


def operating_points(
    predictions: Predictions, banned: Columns, per_draw: Mapping[str, Floats] | None
) -> list[OperatingPoint]:
    """Return both errors of the safety pair where at most a fixed share of the safe chats is lost."""
    truly_banned, scores = _truth_and_scores(predictions, banned)
    points = []
    for rate in OPERATING_POINTS:
        threshold = operating_threshold(scores[~truly_banned], rate)
        passed = Count(n=int((scores[truly_banned] <= threshold).sum()), of=int(truly_banned.sum()))
        lost = Count(n=int((scores[~truly_banned] > threshold).sum()), of=int((~truly_banned).sum()))
        draws = None if per_draw is None else per_draw[f"banned_to_safe_rate_at_safe_to_banned_{rate}"]
        points.append(
            OperatingPoint(
                target_safe_to_banned_rate=rate,
                threshold=round(threshold, 5),
                banned_to_safe=passed,
                safe_to_banned=lost,
                banned_to_safe_rate=no_narrower(interval(passed.rate, draws), passed),
            )
        )
    return points


def reliability(predictions: Predictions) -> list[ReliabilityBin]:
    """Return confidence in the named category against how often it is right, over the bins of the calibration error."""
    answered = predictions.predicted != NO_ANSWER
    right = predictions.predicted[answered] == predictions.labels[answered]
    return _bins(predictions.probabilities[answered].max(axis=1), right)


def banned_reliability(predictions: Predictions, banned: Columns) -> list[ReliabilityBin]:
    """Return banned probability against how often a chat is banned."""
    answered = predictions.predicted != NO_ANSWER
    truly_banned, scores = _truth_and_scores(predictions.take(answered), banned)
    return _bins(np.clip(scores, 0.0, 1.0), truly_banned)


def confusion(predictions: Predictions) -> list[list[int]]:
    """Return [n_categories][n_categories + 1]: true category by named category, no answer last."""
    n_categories = len(predictions.taxonomy.codes)
    n_columns = n_categories + 1
    named = np.where(predictions.predicted == NO_ANSWER, n_categories, predictions.predicted)
    cells = np.bincount(predictions.labels * n_columns + named, minlength=n_categories * n_columns)
    table: list[list[int]] = cells.reshape(n_categories, n_columns).tolist()
    return table


def _truth_and_scores(predictions: Predictions, banned: Columns) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    truly_banned = banned[predictions.labels]
    return truly_banned, banned_scores(predictions.labels, predictions.scored, banned)


def _bins(stated: NDArray[np.float32], true: NDArray[np.bool_]) -> list[ReliabilityBin]:
    index = np.minimum((stated * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    return [
        ReliabilityBin(
            low=round(i / CALIBRATION_BINS, 4),
            high=round((i + 1) / CALIBRATION_BINS, 4),
            n_chats=int(inside.sum()),
            mean_probability=round(float(stated[inside].mean()), 4),
            share_true=round(float(true[inside].mean()), 4),
        )
        for i, inside in ((i, index == i) for i in range(CALIBRATION_BINS))
        if inside.any()
    ]


def thinned(x: Floats, y: Floats) -> list[tuple[float, float]]:
    """Return at most `_MAX_POINTS` points, both ends among them, as close together along the curve as can be."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    wanted = np.linspace(0.0, along[-1], min(_MAX_POINTS, len(x)))
    kept = np.unique(np.searchsorted(along, wanted).clip(0, len(x) - 1)) if len(x) > _MAX_POINTS else range(len(x))
    return [(round(float(x[i]), 4), round(float(y[i]), 4)) for i in kept]
