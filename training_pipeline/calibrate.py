"""Fit the temperature and prepare the chats behind the conformal guarantee.

The held-out calibration chats are used for two things that must not share a chat: one stratified part fits the
temperature, the other part becomes calibration.json. The guarantee of `model.calibration` holds because the chats in
calibration.json chose nothing.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from model.batching import plan_batches
from model.calibration import STORED_DECIMALS, FloatArray, softmax
from model.session import OnnxSession
from model.tokenization import TokenIds
from schemas import CODES
from training_pipeline.split import calibration_split

_LOG_TEMPERATURE_BOUNDS: Final = (-3.0, 3.0)
_LOG_TEMPERATURE_TOLERANCE: Final = 1e-5
_GOLDEN_RATIO: Final = (math.sqrt(5) - 1) / 2
_MAX_PADDED_TOKENS: Final = 1024
_MAX_ROWS: Final = 64


@dataclass(frozen=True)
class Calibration:
    """Outcome of the calibration stage."""

    temperature: float
    labels: NDArray[np.int64]
    """int64 [n_chats], true category of the chats that chose nothing."""
    probabilities: FloatArray
    """float32 [n_chats, 13], calibrated, rounded as they are stored."""
    nll_before: float
    """Negative log likelihood per chat of the fitting part at temperature 1."""
    nll_after: float
    """The same at the fitted temperature."""

    def summary(self) -> dict[str, float]:
        """Return the figures for the manifest."""
        return {
            "n_chats": len(self.labels),
            "temperature": self.temperature,
            "nll_at_temperature_1": round(self.nll_before, 4),
            "nll": round(self.nll_after, 4),
        }

    def to_json(self) -> bytes:
        """Return the contents of calibration.json."""
        rows = [[round(float(value), STORED_DECIMALS) for value in row] for row in self.probabilities]
        return orjson.dumps({"labels": "".join(CODES[i] for i in self.labels), "probabilities": rows})


def session_logits(session: OnnxSession, rows: Sequence[TokenIds]) -> FloatArray:
    """Return logits in the order of `rows`, float32 [n_rows, 13], in batches as serving forms them."""
    logits = np.empty((len(rows), len(CODES)), dtype=np.float32)
    lengths = [len(row) for row in rows]
    for batch in plan_batches(lengths, max_padded_tokens=_MAX_PADDED_TOKENS, max_rows=_MAX_ROWS):
        logits[batch] = session.logits([rows[i] for i in batch])
    return logits


def negative_log_likelihood(logits: FloatArray, labels: NDArray[np.int64], *, temperature: float) -> float:
    """Return the mean negative log likelihood of the true categories, nats per chat."""
    probabilities = softmax(logits, temperature=temperature)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(probabilities.astype(np.float64), 1e-12)).mean())


def fit_temperature(logits: FloatArray, labels: NDArray[np.int64]) -> float:
    """Return the temperature with the smallest negative log likelihood, rounded to four decimals.

    Args:
        logits: float32 [n_chats, 13] of the model that will be served, quantised.
        labels: int64 [n_chats], true column indices.
    """

    def cost(log_temperature: float) -> float:
        return negative_log_likelihood(logits, labels, temperature=math.exp(log_temperature))

    return round(math.exp(_golden_section(cost, *_LOG_TEMPERATURE_BOUNDS)), 4)


def _golden_section(cost: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function with one valley is smallest, within the tolerance."""
    left, right = high - _GOLDEN_RATIO * (high - low), low + _GOLDEN_RATIO * (high - low)
    cost_left, cost_right = cost(left), cost(right)
    while high - low > _LOG_TEMPERATURE_TOLERANCE:
        if cost_left < cost_right:
            high, right, cost_right = right, left, cost_left
            left = high - _GOLDEN_RATIO * (high - low)
            cost_left = cost(left)
        else:
            low, left, cost_left = left, right, cost_right
            right = low + _GOLDEN_RATIO * (high - low)
            cost_right = cost(right)
    return (low + high) / 2


def calibrate(logits: FloatArray, labels: NDArray[np.int64], *, temperature_ratio: float, seed: int) -> Calibration:
    """Fit the temperature on one part of the held-out chats, and keep the other part for the guarantee.

    Args:
        logits: float32 [n_chats, 13], of the held-out chats, by the model that will be served.
        labels: int64 [n_chats], true column indices.
        temperature_ratio: Share of the chats that fit the temperature, 0..1.
        seed: Same seed and labels give the same parts.
    """
    guarantee, fitting = calibration_split(labels, calibration_ratio=temperature_ratio, seed=seed)
    temperature = fit_temperature(logits[fitting], labels[fitting])
    probabilities = np.round(
        softmax(logits[guarantee], temperature=temperature).astype(np.float64), STORED_DECIMALS
    ).astype(np.float32)
    return Calibration(
        temperature=temperature,
        labels=labels[guarantee],
        probabilities=probabilities,
        nll_before=negative_log_likelihood(logits[fitting], labels[fitting], temperature=1.0),
        nll_after=negative_log_likelihood(logits[fitting], labels[fitting], temperature=temperature),
    )
