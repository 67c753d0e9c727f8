"""Fit the scaling of the logits by likelihood: one temperature, or a temperature and a bias per class group.

The groups are the banned and the safe categories of the bundle's policy, where it bans any: fine-tuned models are
often surer of one of the two sides, and the banned probability is what decisions rest on.
Source: see `model.calibration.LogitScaling`; the fit is scipy's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from sklearn.model_selection import StratifiedKFold

from model.bundle.manifest import ClassGroup
from model.calibration import FloatArray, LogitScaling

_LOG_TEMPERATURE_BOUNDS: Final = (-3.0, 3.0)
_BIAS_BOUNDS: Final = (-5.0, 5.0)
_DECIMALS: Final = 4
_N_FOLDS: Final = 5
_SMALLEST_PROBABILITY: Final = 1e-12


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
        logits: float32 [n_chats, n_categories] of the model that will be served, quantised.
        labels: int64 [n_chats], true column indices.
    """

    def cost(log_temperature: float) -> float:
        return negative_log_likelihood(
            logits, labels, LogitScaling.single(float(np.exp(log_temperature)), logits.shape[1])
        )

    found = minimize_scalar(cost, bounds=_LOG_TEMPERATURE_BOUNDS, method="bounded", options={"xatol": 1e-6})
    return round(float(np.exp(found.x)), _DECIMALS)


@dataclass(frozen=True)
class Groups:
    """The banned and the safe categories of a taxonomy under a policy."""

    codes: Sequence[str]
    """Of the output columns."""
    banned: NDArray[np.bool_]
    """bool [n_categories]; both groups have some where groups are fitted."""

    @property
    def are_two(self) -> bool:
        """Whether anything is banned: else there is one group, and one temperature says all."""
        return bool(self.banned.any())

    def scaling(self, parameters: Sequence[float]) -> LogitScaling:
        """Return the scaling with both groups' log temperatures and the banned group's bias."""
        return scaling_of(self.groups(parameters, decimals=None), self.codes)

    def groups(self, parameters: Sequence[float], decimals: int | None = _DECIMALS) -> list[ClassGroup]:
        """Return the groups with both log temperatures and the banned group's bias, rounded unless decimals is None."""
        log_banned, log_safe, bias = (float(value) for value in parameters)
        numbers = (float(np.exp(log_banned)), float(np.exp(log_safe)), bias)
        banned, safe, bias = numbers if decimals is None else (round(number, decimals) for number in numbers)
        sides = dict(zip(self.codes, self.banned.tolist(), strict=True))
        return [
            ClassGroup(codes=[code for code in self.codes if sides[code]], temperature=banned, bias=bias),
            ClassGroup(codes=[code for code in self.codes if not sides[code]], temperature=safe, bias=0.0),
        ]


def fit_class_groups(logits: FloatArray, labels: NDArray[np.int64], groups: Groups) -> list[ClassGroup]:
    """Return the groups with the smallest negative log likelihood, numbers rounded to four decimals.

    Only the difference between biases counts, so that of the safe group is 0: three numbers are fitted.

    Args:
        logits: float32 [n_chats, n_categories] of the model that will be served, quantised.
        labels: int64 [n_chats], true column indices.
        groups: Which columns are banned, some of them.
    """

    def cost(parameters: NDArray[np.float64]) -> float:
        return negative_log_likelihood(logits, labels, groups.scaling(parameters.tolist()))

    start = np.log(fit_temperature(logits, labels))
    bounds = [_LOG_TEMPERATURE_BOUNDS, _LOG_TEMPERATURE_BOUNDS, _BIAS_BOUNDS]
    # Probabilities are float32, so that slopes by finite differences would drown in rounding: no derivatives.
    found = minimize(cost, [start, start, 0.0], method="Nelder-Mead", bounds=bounds, options={"xatol": 1e-5})
    return groups.groups(found.x.tolist())


def choose_kind(
    logits: FloatArray, labels: NDArray[np.int64], groups: Groups, *, seed: int
) -> tuple[ScalingKind, dict[str, float]]:
    """Choose by likelihood on folds that did not fit, and return the kind and each kind's cross-validated loss.

    Class groups have to be better by one standard error of the paired difference: with a few hundred chats, two more
    parameters gain a little by chance. Too few chats of one side keep the one temperature.
    """
    is_banned = groups.banned[labels]
    if min(int(is_banned.sum()), int((~is_banned).sum())) < _N_FOLDS:
        return ScalingKind.TEMPERATURE, {}
    fits: dict[ScalingKind, Callable[[FloatArray, NDArray[np.int64]], LogitScaling]] = {
        ScalingKind.TEMPERATURE: lambda z, y: LogitScaling.single(fit_temperature(z, y), z.shape[1]),
        ScalingKind.CLASS_GROUPS: lambda z, y: scaling_of(fit_class_groups(z, y, groups), groups.codes),
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


def scaling_of(groups: Sequence[ClassGroup], codes: Sequence[str]) -> LogitScaling:
    """Return the scaling that a manifest with these groups means."""
    return LogitScaling.of_groups(((group.codes, group.temperature, group.bias) for group in groups), codes)
