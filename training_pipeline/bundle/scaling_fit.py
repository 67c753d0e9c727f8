"""Fit the scaling of the logits by likelihood: one temperature, or a temperature and a bias per class group.

The groups are the banned and the safe categories of the default policy: fine-tuned models are often surer of one of
the two sides, and the banned probability is what decisions rest on.
Source: see `model.calibration.LogitScaling`; the fit is scipy's.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from sklearn.model_selection import StratifiedKFold

from model.bundle.manifest import ClassGroup
from model.calibration import FloatArray, LogitScaling
from schemas import CODES, DEFAULT_BANNED

_LOG_TEMPERATURE_BOUNDS: Final = (-3.0, 3.0)
_BIAS_BOUNDS: Final = (-5.0, 5.0)
_DECIMALS: Final = 4
_N_FOLDS: Final = 5
_SMALLEST_PROBABILITY: Final = 1e-12

_BANNED: Final = [code for code in CODES if code in DEFAULT_BANNED]
_SAFE: Final = [code for code in CODES if code not in DEFAULT_BANNED]


class ScalingKind(StrEnum):
    """How logits are calibrated."""

    AUTO = "auto"
    """Class groups where their cross-validated likelihood is better by a standard error, else one temperature."""
    TEMPERATURE = "temperature"
    CLASS_GROUPS = "class-groups"


def chat_losses(logits: FloatArray, labels: NDArray[np.int64], scaling: LogitScaling) -> NDArray[np.float64]:
    """Return the negative log likelihood of each chat's true category, float64 [n_chats], nats."""
    probabilities = scaling.probabilities(logits)[np.arange(len(labels)), labels].astype(np.float64)
    losses: NDArray[np.float64] = -np.log(np.maximum(probabilities, _SMALLEST_PROBABILITY))
    return losses


def negative_log_likelihood(logits: FloatArray, labels: NDArray[np.int64], scaling: LogitScaling) -> float:
    """Return the mean negative log likelihood of the true categories, nats per chat."""
    return float(chat_losses(logits, labels, scaling).mean())


def fit_temperature(logits: FloatArray, labels: NDArray[np.int64]) -> float:
    """Return the temperature with the smallest negative log likelihood, rounded to four decimals.

    Args:
        logits: float32 [n_chats, 13] of the model that will be served, quantised.
        labels: int64 [n_chats], true column indices.
    """

    def cost(log_temperature: float) -> float:
        return negative_log_likelihood(logits, labels, LogitScaling.single(float(np.exp(log_temperature))))

    found = minimize_scalar(cost, bounds=_LOG_TEMPERATURE_BOUNDS, method="bounded", options={"xatol": 1e-6})
    return round(float(np.exp(found.x)), _DECIMALS)


def fit_class_groups(logits: FloatArray, labels: NDArray[np.int64]) -> list[ClassGroup]:
    """Return the groups with the smallest negative log likelihood, numbers rounded to four decimals.

    Only the difference between biases counts, so that of the safe group is 0: three numbers are fitted.

    Args:
        logits: float32 [n_chats, 13] of the model that will be served, quantised.
        labels: int64 [n_chats], true column indices.
    """

    def cost(parameters: NDArray[np.float64]) -> float:
        return negative_log_likelihood(logits, labels, _grouped(parameters))

    start = np.log(fit_temperature(logits, labels))
    bounds = [_LOG_TEMPERATURE_BOUNDS, _LOG_TEMPERATURE_BOUNDS, _BIAS_BOUNDS]
    # Probabilities are float32, so that slopes by finite differences would drown in rounding: no derivatives.
    found = minimize(cost, [start, start, 0.0], method="Nelder-Mead", bounds=bounds, options={"xatol": 1e-5})
    banned, safe, bias = found.x
    return [
        ClassGroup(codes=_BANNED, temperature=round(float(np.exp(banned)), _DECIMALS), bias=round(bias, _DECIMALS)),
        ClassGroup(codes=_SAFE, temperature=round(float(np.exp(safe)), _DECIMALS), bias=0.0),
    ]


def choose_kind(logits: FloatArray, labels: NDArray[np.int64], *, seed: int) -> tuple[ScalingKind, dict[str, float]]:
    """Choose by likelihood on folds that did not fit, and return the kind and each kind's cross-validated loss.

    Class groups have to be better by one standard error of the paired difference: with a few hundred chats, two more
    parameters gain a little by chance. Too few chats of one side keep the one temperature.
    """
    is_banned = np.isin(labels, [CODES.index(code) for code in _BANNED])
    if min(int(is_banned.sum()), int((~is_banned).sum())) < _N_FOLDS:
        return ScalingKind.TEMPERATURE, {}
    fits: dict[ScalingKind, Callable[[FloatArray, NDArray[np.int64]], LogitScaling]] = {
        ScalingKind.TEMPERATURE: lambda z, y: LogitScaling.single(fit_temperature(z, y)),
        ScalingKind.CLASS_GROUPS: lambda z, y: scaling_of(fit_class_groups(z, y)),
    }
    losses = {kind: np.empty(len(labels)) for kind in fits}
    folds = StratifiedKFold(_N_FOLDS, shuffle=True, random_state=seed)
    for fitting, fresh in folds.split(labels, is_banned):
        for kind, fit in fits.items():
            losses[kind][fresh] = chat_losses(logits[fresh], labels[fresh], fit(logits[fitting], labels[fitting]))
    gain = losses[ScalingKind.TEMPERATURE] - losses[ScalingKind.CLASS_GROUPS]
    standard_error = float(gain.std(ddof=1)) / len(gain) ** 0.5
    chosen = ScalingKind.CLASS_GROUPS if float(gain.mean()) > standard_error else ScalingKind.TEMPERATURE
    return chosen, {kind.value: float(loss.mean()) for kind, loss in losses.items()}


def scaling_of(groups: list[ClassGroup]) -> LogitScaling:
    """Return the scaling that a manifest with these groups means."""
    return LogitScaling.of_groups((group.codes, group.temperature, group.bias) for group in groups)


def _grouped(parameters: NDArray[np.float64]) -> LogitScaling:
    log_banned, log_safe, bias = parameters
    groups = [(_BANNED, float(np.exp(log_banned)), float(bias)), (_SAFE, float(np.exp(log_safe)), 0.0)]
    return LogitScaling.of_groups(groups)
