"""ROC curve of each category against all others, from its own probability."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from sklearn.metrics import auc, roc_curve

from training_pipeline.quality.evaluate import Predictions
from training_pipeline.quality.metrics import NO_ANSWER
from training_pipeline.report.curves import thinned
from training_pipeline.report.document import Curve

NO_SCORE: Final = -1.0
"""Below every probability: a chat without an answer is found last."""


def category_roc(predictions: Predictions, codes: Sequence[str]) -> dict[str, Curve]:
    """Return the curves by code; none of a category that no chat, or every chat, is of.

    Args:
        predictions: With scores of their own.
        codes: Of the columns.
    """
    scores = np.where((predictions.predicted == NO_ANSWER)[:, None], np.float32(NO_SCORE), predictions.probabilities)
    curves = {}
    for column, code in enumerate(codes):
        is_it = predictions.labels == column
        if is_it.any() and not is_it.all():
            false, true, _ = roc_curve(is_it, scores[:, column])
            curves[code] = Curve(area=round(float(auc(false, true)), 4), points=thinned(false, true))
    return curves
