"""From logits to calibrated probabilities, and from probabilities to risks with a finite-sample guarantee.

`banned_to_safe_risk` is a conformal p-value: with s_1..s_n the banned probabilities of n banned calibration chats, the
risk of a chat scoring b is (1 + #{i: s_i <= b}) / (n + 1). For a new banned chat that is exchangeable with the
calibration chats, P(risk <= alpha) <= alpha for every alpha; so "allow where
risk <= alpha" keeps the banned->safe rate at or under alpha.
This is conformal risk control for the 0/1 loss "a banned chat was allowed".

Source: Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World (2005), ch. 2; Angelopoulos, Bates, Fisch, Lei,
Schuster, Conformal Risk Control (ICLR 2024), theorem 1.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas import CODES

FloatArray = NDArray[np.float32]
ScoreArray = NDArray[np.float64]

STORED_DECIMALS: Final = 5
"""Decimals of the probabilities in calibration.json."""


def softmax(logits: FloatArray, *, temperature: float = 1.0) -> FloatArray:
    """Turn one batch of logits into category probabilities.

    Args:
        logits: float32 [rows, n_categories], raw model output.
        temperature: Calibration divisor, > 0; 1.0 leaves the model's confidence as it is.

    Returns:
        float32 [rows, n_categories]; each row sums to 1 within 1e-6.

    Raises:
        ValueError: `temperature` is not positive, or a logit is NaN or infinite.
    """
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; expected a number above 0")
    return _normalised(_finite(logits) / temperature)


@dataclass(frozen=True)
class LogitScaling:
    """How the logits of a bundle become calibrated probabilities: one temperature, or one and a bias per class group.

    With groups, category k of group g gets softmax over k of (z_k - mean of all z) / T_g + b_g. Taking the mean off
    keeps the answer the same where a constant is added to all logits, which says nothing.

    Source: Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks (2017), section 4.2: temperature
    scaling, and vector scaling with its parameters shared within a group.
    """

    temperatures: ScoreArray
    """float64 [13], > 0."""
    biases: ScoreArray
    """float64 [13]."""
    is_grouped: bool

    @classmethod
    def single(cls, temperature: float) -> "LogitScaling":
        """Return the scaling with one temperature, the same as `softmax` with it."""
        return cls(np.full(len(CODES), temperature), np.zeros(len(CODES)), is_grouped=False)

    @classmethod
    def of_groups(cls, groups: Iterable[tuple[Collection[str], float, float]]) -> "LogitScaling":
        """Return the scaling of class groups: codes, temperature and bias of each; together they hold all codes."""
        temperatures, biases = np.ones(len(CODES)), np.zeros(len(CODES))
        for codes, temperature, bias in groups:
            columns = [CODES.index(code) for code in codes]
            temperatures[columns], biases[columns] = temperature, bias
        return cls(temperatures, biases, is_grouped=True)

    def probabilities(self, logits: FloatArray) -> FloatArray:
        """Return calibrated probabilities, float32 [rows, 13].

        Raises:
            ValueError: a logit is NaN or infinite.
        """
        scaled = _finite(logits)
        if self.is_grouped:
            scaled = scaled - scaled.mean(axis=1, keepdims=True)
        return _normalised(scaled / self.temperatures + self.biases)


def _finite(logits: FloatArray) -> ScoreArray:
    if not np.isfinite(logits).all():
        raise ValueError("a logit is NaN or infinite; expected finite numbers")
    return logits.astype(np.float64)


def _normalised(scaled: ScoreArray) -> FloatArray:
    # Subtracting the row maximum leaves the result unchanged and keeps exp() from overflowing.
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probabilities: FloatArray = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities


def banned_probability(probabilities: FloatArray, banned: frozenset[str]) -> ScoreArray:
    """Return the probability that a chat belongs to a banned category, float64 [rows], 0..1, to five decimals.

    A chat's score must be the same number whether it comes fresh from the model or out of calibration.json, or ties
    would be broken against the guarantee; so both are rounded to what calibration.json holds before they are summed.
    """
    mask = np.array([code in banned for code in CODES])
    rounded = np.round(probabilities.astype(np.float64), STORED_DECIMALS)
    total: ScoreArray = np.clip(np.round(rounded[:, mask].sum(axis=1), STORED_DECIMALS), 0.0, 1.0)
    return total


@dataclass(frozen=True)
class RiskCurves:
    """Sorted banned probabilities of the calibration chats, banned and safe ones apart."""

    banned_scores: ScoreArray
    """float64 [n_banned], ascending."""
    safe_scores: ScoreArray
    """float64 [n_safe], ascending."""

    @classmethod
    def build(cls, probabilities: FloatArray, labels: NDArray[np.int64], banned: frozenset[str]) -> "RiskCurves":
        """Build the curves for one banned set.

        Args:
            probabilities: float32 [n_chats, 13], calibrated, of chats that neither training nor temperature saw.
            labels: int64 [n_chats], column index of the true category.
            banned: Codes of the banned categories.

        Raises:
            ValueError: the calibration chats hold no banned or no safe chat.
        """
        return cls.of_scores(banned_probability(probabilities, banned), labels, banned)

    @classmethod
    def of_scores(cls, scores: ScoreArray, labels: NDArray[np.int64], banned: frozenset[str]) -> "RiskCurves":
        """Build the curves from the calibration chats' scores under one banned set, float64 [n_chats]; see `build`."""
        truly_banned = np.array([code in banned for code in CODES])[labels]
        if truly_banned.all() or not truly_banned.any():
            raise ValueError(
                f"calibration chats: {int(truly_banned.sum())} banned of {len(labels)} under banned={sorted(banned)}; "
                "expected some banned and some safe ones"
            )
        return cls(np.sort(scores[truly_banned]), np.sort(scores[~truly_banned]))

    def banned_to_safe_risk(self, score: float) -> float:
        """Return the bound on the share of banned chats that pass if all chats up to this score pass, 0..1."""
        n_at_most = int(np.searchsorted(self.banned_scores, score, side="right"))
        return (1 + n_at_most) / (1 + len(self.banned_scores))

    def safe_to_banned_risk(self, score: float) -> float:
        """Return the bound on the share of safe chats lost if all chats from this score up are blocked, 0..1."""
        n_at_least = len(self.safe_scores) - int(np.searchsorted(self.safe_scores, score, side="left"))
        return (1 + n_at_least) / (1 + len(self.safe_scores))
