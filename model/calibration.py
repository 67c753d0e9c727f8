"""From logits to calibrated probabilities, and from probabilities to risks with a finite-sample guarantee.

`banned_to_safe_risk` is a conformal p-value: with s_1..s_n the banned probabilities of n banned calibration chats, the
risk of a chat scoring b is (1 + #{i: s_i <= b}) / (n + 1). For a new banned chat that is exchangeable with the
calibration chats, P(risk <= alpha) <= alpha for every alpha; so "allow where
risk <= alpha" keeps the banned->safe rate at or under alpha.
This is conformal risk control for the 0/1 loss "a banned chat was allowed".

Source: Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World (2005), ch. 2; Angelopoulos, Bates, Fisch, Lei,
Schuster, Conformal Risk Control (ICLR 2024), theorem 1.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
ScoreArray = NDArray[np.float64]

WIRE_DECIMALS: Final = 6
"""Of probabilities, evidence and scores, in verdicts and, from format 2 on, in calibration.json."""
FORMAT_1_DECIMALS: Final = 5
"""Of probabilities in the calibration.json of a bundle of format 1."""


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
    """float64 [n_categories], > 0."""
    biases: ScoreArray
    """float64 [n_categories]."""
    is_grouped: bool

    @classmethod
    def single(cls, temperature: float, n_categories: int) -> "LogitScaling":
        """Return the scaling with one temperature, the same as `softmax` with it."""
        return cls(np.full(n_categories, temperature), np.zeros(n_categories), is_grouped=False)

    @classmethod
    def of_groups(cls, groups: Iterable[tuple[Collection[str], float, float]], codes: Sequence[str]) -> "LogitScaling":
        """Return the scaling of class groups.

        Args:
            groups: Codes, temperature and bias of each; together they hold all codes.
            codes: The taxonomy's, in the order of the output columns.
        """
        temperatures, biases = np.ones(len(codes)), np.zeros(len(codes))
        for group, temperature, bias in groups:
            columns = [codes.index(code) for code in group]
            temperatures[columns], biases[columns] = temperature, bias
        return cls(temperatures, biases, is_grouped=True)

    def probabilities(self, logits: FloatArray) -> FloatArray:
        """Return calibrated probabilities, float32 [rows, n_categories].

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


def banned_mask(banned: Collection[str], codes: Sequence[str]) -> NDArray[np.bool_]:
    """Return which output columns are banned, bool [n_categories].

    Args:
        banned: Codes of the banned categories.
        codes: The taxonomy's, in the order of the output columns.
    """
    return np.array([code in banned for code in codes], dtype=np.bool_)


def policy_scores(evidence: ScoreArray, banned: NDArray[np.bool_]) -> ScoreArray:
    """Return the score of each chat under a banned set, float64 [n_chats], 0..1, rounded as everywhere.

    A chat's score must be the same number whether it comes fresh from the model, out of calibration.json or out of a
    verdict, or ties would be broken against the guarantee; so it is the sum of values as they stand there.

    Args:
        evidence: float64 [n_chats, n_categories], as verdicts hold it.
        banned: bool [n_categories], see `banned_mask`.
    """
    scores: ScoreArray = np.minimum(1.0, np.round(evidence[:, banned].sum(axis=1), WIRE_DECIMALS))
    return scores


@dataclass(frozen=True)
class RiskCurves:
    """Sorted scores of the calibration chats, banned and safe ones apart; without any, both risks are 1."""

    banned_scores: ScoreArray
    """float64 [n_banned], ascending."""
    safe_scores: ScoreArray
    """float64 [n_safe], ascending."""
    decimals: int = WIRE_DECIMALS
    """Of the evidence that the scores are sums of."""

    @classmethod
    def build(
        cls, scores: ScoreArray, truly_banned: NDArray[np.bool_], *, decimals: int = WIRE_DECIMALS
    ) -> "RiskCurves":
        """Build the curves for one banned set.

        Args:
            scores: float64 [n_chats], of chats that neither training nor temperature saw.
            truly_banned: bool [n_chats], whether the true category is banned.
            decimals: Of the evidence that the scores are sums of.

        Raises:
            ValueError: the calibration chats hold no banned or no safe chat.
        """
        if truly_banned.all() or not truly_banned.any():
            raise ValueError(
                f"calibration chats: {int(truly_banned.sum())} of {len(scores)} are of a banned category; expected "
                "some banned and some safe ones; label such chats too, or ban other categories"
            )
        return cls(np.sort(scores[truly_banned]), np.sort(scores[~truly_banned]), decimals)

    @property
    def is_calibrated(self) -> bool:
        """Whether there was any calibration chat."""
        return len(self.banned_scores) + len(self.safe_scores) > 0

    @cached_property
    def _banned_scores(self) -> list[float]:
        """For single scores: a search in an array takes ten times as long."""
        return [float(score) for score in self.banned_scores]

    @cached_property
    def _safe_scores(self) -> list[float]:
        return [float(score) for score in self.safe_scores]

    def banned_to_safe_risk(self, score: float) -> float:
        """Return the bound on the share of banned chats that pass if all chats up to this score pass, 0..1."""
        n_at_most = bisect_right(self._banned_scores, score)
        return (1 + n_at_most) / (1 + len(self.banned_scores))

    def safe_to_banned_risk(self, score: float) -> float:
        """Return the bound on the share of safe chats lost if all chats from this score up are blocked, 0..1."""
        n_at_least = len(self.safe_scores) - bisect_left(self._safe_scores, score)
        return (1 + n_at_least) / (1 + len(self.safe_scores))
