"""What is measured after each epoch: of the dev chats, which decide nothing, and of those that choose the epoch."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.calibration import LogitScaling, softmax
from training_pipeline.bundle.scaling_fit import fit_temperature, negative_log_likelihood
from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.quality.metrics import Columns, banned_to_safe_at, rounded, safety_metrics

_OPERATING_POINT: Final = 0.029


def dev_figures(logits: NDArray[np.float32], chats: LabelledChats) -> dict[str, Any]:
    """Return the figures of the chats whose annotators agree.

    Args:
        logits: float32 [n_chats, n_categories].
        chats: The chats, in the same order.
    """
    logits, labels = logits[chats.agreed], chats.labels[chats.agreed]
    found: dict[str, Any] = dict(safety_metrics(labels, logits.argmax(axis=1), chats.banned_columns).as_dict())
    found["banned_to_safe_at_2.9"] = rounded(_banned_to_safe(logits, labels, 1.0, chats.banned_columns))
    return found


def selection_figures(logits: NDArray[np.float32], chats: LabelledChats) -> dict[str, Any]:
    """Return the figures that may choose the epoch, with a temperature fitted on these very chats.

    Args:
        logits: float32 [n_chats, n_categories].
        chats: The chats, in the same order.
    """
    temperature = fit_temperature(logits, chats.labels)
    likelihood = negative_log_likelihood(logits, chats.labels, LogitScaling.single(temperature, logits.shape[1]))
    return {
        "held_out_nll": round(likelihood, 6),
        "held_out_banned_to_safe": rounded(_banned_to_safe(logits, chats.labels, temperature, chats.banned_columns), 6),
    }


def _banned_to_safe(
    logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float, banned: Columns
) -> float | None:
    probabilities = softmax(logits, temperature=temperature)
    return banned_to_safe_at(labels, probabilities, banned, safe_to_banned_rate=_OPERATING_POINT)
