"""Classification figures that matter to an ad platform: accuracy, and the pair of costly confusions."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

Columns = NDArray[np.bool_]
"""bool [n_categories], which output columns are meant; see `model.calibration.banned_mask`."""

NO_ANSWER: Final = -1
"""Predicted column of a chat that the model gave no category for: wrong in every figure."""

CALIBRATION_BINS: Final = 15
"""Equal-width confidence bins, as in Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks (2017)."""


@dataclass(frozen=True)
class SafetyMetrics:
    """Figures of one set of predictions. Rates are 0..1."""

    n_chats: int
    n_banned: int
    accuracy: float
    macro_f1: float
    """Mean of the F1 of the categories that have chats."""
    n_categories: int
    """Categories that the macro F1 runs over."""
    weighted_f1: float
    """Mean of the categories' F1, weighted by their chats."""
    cross_category_error_rate: float | None
    """Banned/safe confusions in either direction over all chats; this and the two rates are None where nothing is
    banned."""
    banned_to_safe_rate: float | None
    """Banned chats whose predicted category is safe, over banned chats."""
    safe_to_banned_rate: float | None
    """Safe chats whose predicted category is banned, over safe chats."""
    n_banned_to_safe: int
    n_safe_to_banned: int

    def as_dict(self) -> dict[str, float | None]:
        """Return the figures rounded to four decimals."""
        return {name: rounded(value) for name, value in asdict(self).items()}


def rounded(value: float | None, decimals: int = 4) -> float | None:
    """Return a rounded figure; None where there is none."""
    return None if value is None else round(value, decimals)


def safety_metrics(labels: NDArray[np.int64], predicted: NDArray[np.int64], banned: Columns) -> SafetyMetrics:
    """Compare predicted with true categories, both int64 [n_chats] of column indices; `NO_ANSWER` is always wrong."""
    truly_banned = banned[labels]
    called_banned = called_banned_of(labels, predicted, banned)
    has_banned = bool(banned.any())
    # A category without chats has no recall and so no F1; nor is "no answer" a category.
    columns = np.unique(labels)
    macro, weighted = (
        float(f1_score(labels, predicted, labels=columns, average=average, zero_division=0.0))
        for average in ("macro", "weighted")
    )
    return SafetyMetrics(
        n_chats=len(labels),
        n_banned=int(truly_banned.sum()),
        accuracy=float(accuracy_score(labels, predicted)),
        macro_f1=macro,
        n_categories=len(columns),
        weighted_f1=weighted,
        cross_category_error_rate=float((truly_banned != called_banned).mean()) if has_banned else None,
        banned_to_safe_rate=share(~called_banned, truly_banned) if has_banned else None,
        safe_to_banned_rate=share(called_banned, ~truly_banned) if has_banned else None,
        n_banned_to_safe=int((truly_banned & ~called_banned).sum()),
        n_safe_to_banned=int((~truly_banned & called_banned).sum()),
    )


def called_banned_of(labels: NDArray[np.int64], predicted: NDArray[np.int64], banned: Columns) -> NDArray[np.bool_]:
    """Return which chats count as called banned, bool [n_chats]: without an answer, whatever is wrong."""
    return np.where(predicted == NO_ANSWER, ~banned[labels], banned[predicted])


def banned_scores(
    labels: NDArray[np.int64], probabilities: NDArray[np.float32], banned: Columns
) -> NDArray[np.float32]:
    """Return each chat's banned probability, float32 [n_chats], 0..1.

    Args:
        labels: int64 [n_chats].
        probabilities: float32 [n_chats, n_categories]; a row of NaN (no answer) scores as wrong as can be.
        banned: bool [n_categories], the banned columns.
    """
    score: NDArray[np.float32] = probabilities[:, banned].sum(axis=1)
    return np.where(np.isnan(score), np.float32(1) - banned[labels].astype(np.float32), score)


def banned_to_safe_at(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    banned: Columns,
    *,
    safe_to_banned_rate: float,
) -> float | None:
    """Return the banned->safe rate at the threshold on banned probability with this safe->banned rate.

    None where nothing is banned, or no chat is safe, so that there is no such threshold.

    Args:
        labels: int64 [n_chats].
        probabilities: float32 [n_chats, n_categories].
        banned: bool [n_categories], the banned columns.
        safe_to_banned_rate: Fixed operating point, 0..1.
    """
    score = banned_scores(labels, probabilities, banned)
    truly_banned = banned[labels]
    if not banned.any() or truly_banned.all():
        return None
    return share(score <= operating_threshold(score[~truly_banned], safe_to_banned_rate), truly_banned)


def operating_threshold(safe_scores: NDArray[np.floating[Any]], safe_to_banned_rate: float) -> float:
    """Return the smallest score of a safe chat above which at most this share of them lies; chats above it are lost."""
    return float(np.quantile(safe_scores, 1 - safe_to_banned_rate, method="higher"))


def expected_calibration_error(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> float:
    """Return the mean gap between confidence and accuracy over bins of confidence, 0..1.

    Args:
        labels: int64 [n_chats].
        probabilities: float32 [n_chats, n_categories].
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    gaps = [
        abs(float(confidence[inside].mean()) - float(correct[inside].mean())) * int(inside.sum())
        for inside in (bins == i for i in range(CALIBRATION_BINS))
        if inside.any()
    ]
    return sum(gaps) / len(labels)


def category_figures(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], codes: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Return precision, recall, F1 and number of chats of each category, by code.

    A category without chats has neither recall nor F1, one that was never named no precision: None.
    """
    figures = precision_recall_fscore_support(labels, predicted, labels=range(len(codes)), zero_division=0.0)
    named = [bool((predicted == column).any()) for column in range(len(codes))]
    return {
        code: {
            "precision": round(float(precision), 4) if was_named else None,
            "recall": round(float(recall), 4) if n_chats else None,
            "f1": round(float(f1), 4) if n_chats else None,
            "n_chats": int(n_chats),
        }
        for code, precision, recall, f1, n_chats, was_named in zip(codes, *figures, named, strict=True)
    }


def share(event: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    """Return the share of chats in `among` for which `event` holds, 0..1; 0 where there are none."""
    return float((event & among).sum() / among.sum()) if among.any() else 0.0
