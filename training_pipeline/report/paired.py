"""Is one model better than another on the same chats? McNemar's exact test and paired bootstrap differences.

Source: McNemar, Note on the sampling error of the difference between correlated proportions (1947); the exact form is
the sign test on the chats where just one of the two errs. P-values are not adjusted for the number of models compared.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from training_pipeline.quality.evaluate import OPERATING_POINTS, Predictions
from training_pipeline.quality.metrics import Columns, called_banned_of
from training_pipeline.report.document import Difference
from training_pipeline.report.intervals import Floats, figures_once, interval

Bools = NDArray[np.bool_]


def mcnemar_p_value(n_only_first: int, n_only_second: int) -> float:
    """Return the two-sided exact p-value for discordant counts; 1 where there are none."""
    n = n_only_first + n_only_second
    return float(binomtest(n_only_first, n, 0.5).pvalue) if n else 1.0


def differences(
    model: Predictions,
    baseline: Predictions,
    per_draw: tuple[Mapping[str, Floats] | None, Mapping[str, Floats] | None],
    *,
    banned: Columns,
    names: tuple[str, str],
) -> list[Difference]:
    """Compare two models on the same chats, in the same order.

    Args:
        model: What the model said.
        baseline: What the baseline said.
        per_draw: Both models' figures on the same resamples; None where there are none.
        banned: bool [n_categories], the banned columns.
        names: Of model and baseline.
    """
    values = figures_once(model, banned), figures_once(baseline, banned)
    truly_banned = banned[model.labels]
    wrong = _errors(model, banned), _errors(baseline, banned)
    among = {"banned_to_safe_rate": truly_banned, "safe_to_banned_rate": ~truly_banned}
    at_points = [f"banned_to_safe_rate_at_safe_to_banned_{rate}" for rate in OPERATING_POINTS]
    found = []
    for figure in ("banned_to_safe_rate", "safe_to_banned_rate", "cross_category_error_rate", "accuracy", *at_points):
        if figure not in values[0] or figure not in values[1]:
            continue
        counted = among.get(figure, truly_banned if figure in at_points else np.ones_like(truly_banned))
        only = (None, None) if figure in at_points else _only(wrong[0][figure], wrong[1][figure], counted)
        both = [draws[figure] for draws in per_draw if draws is not None and figure in draws]
        found.append(
            Difference(
                model=names[0],
                baseline=names[1],
                figure=figure,
                n_chats=int(counted.sum()),
                n_only_model_wrong=only[0],
                n_only_baseline_wrong=only[1],
                difference=interval(
                    values[0][figure] - values[1][figure], both[0] - both[1] if len(both) == len(values) else None
                ),
                p_value=None if only[0] is None or only[1] is None else round(mcnemar_p_value(*only), 6),
            )
        )
    return found


def _errors(predictions: Predictions, banned: Columns) -> dict[str, Bools]:
    """Return, by figure, the chats that count against a model, bool [n_chats]."""
    truly_banned = banned[predictions.labels]
    confused = truly_banned != called_banned_of(predictions.labels, predictions.predicted, banned)
    return {
        "banned_to_safe_rate": confused,
        "safe_to_banned_rate": confused,
        "cross_category_error_rate": confused,
        "accuracy": predictions.predicted != predictions.labels,
    }


def _only(model: Bools, baseline: Bools, counted: Bools) -> tuple[int, int]:
    return int((model & ~baseline & counted).sum()), int((baseline & ~model & counted).sum())
