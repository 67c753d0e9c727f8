"""Fit what the pieces of a chat count, per category, on chats as they are and on mixtures.

A weight that is too small lets a banned passage hide beside safe text; one that is too large makes the worst piece of
every long chat a reason against it. So the weights are those that judge mixtures best among those that leave natural
chats judged as well as without pieces.

Invariant: the same answers give the same weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.calibration import RiskCurves, ScoreArray
from schemas import CODES, Policy
from training_pipeline.metrics import banned_columns, operating_threshold, share

_GRID: Final = tuple(round(0.1 * step, 1) for step in range(11))
_OPERATING_POINTS: Final = (0.029, 0.044)
_TOLERANCE: Final = 0.005
"""Share of natural chats, banned or safe, that may be judged worse than without pieces."""
_MIXED_SAFE_TARGET: Final = 0.93
"""Share of safe mixtures that should still be allowed; below it, each lost one counts."""


@dataclass(frozen=True)
class Answers:
    """What the model says of chats."""

    labels: NDArray[np.int64]
    """int64 [n_chats], true column indices."""
    windows: ScoreArray
    """float64 [n_chats, 13], of the main window."""
    pieces: ScoreArray
    """float64 [n_chats, 13], the larger of that and the largest of the pieces."""

    def evidence(self, weights: ScoreArray) -> ScoreArray:
        """Return the evidence under these weights, float64 [n_chats, 13]."""
        # Where the window says more than a piece, it says more than the weighted piece too.
        evidence: ScoreArray = np.maximum(self.windows, self.pieces * weights)
        return evidence


@dataclass(frozen=True)
class FittedWeights:
    """Weights, and how the chats that fitted them fare; shares 0..1."""

    weights: ScoreArray
    """float64 [13]."""
    natural_banned_allowed: tuple[float, float]
    """Without pieces and with them, at the threshold of the policy."""
    natural_safe_allowed: tuple[float, float]
    mixed_banned_allowed: tuple[float, float]
    mixed_safe_allowed: tuple[float, float]


def fit_piece_weights(natural: Answers, mixtures: Answers, policy: Policy) -> FittedWeights:
    """Return a weight for each category.

    Args:
        natural: Chats that training did not see, as they are.
        mixtures: Such chats with safe text beside theirs.
        policy: The weights of its banned categories are fitted together; every other category by itself, as the largest
            that leaves natural chats judged as well.

    Raises:
        ValueError: a side of the policy has no chat.
    """
    banned = frozenset(code.value for code in policy.banned)
    columns = np.flatnonzero(banned_columns(banned))
    plain = _Figures.of(natural, mixtures, np.zeros(len(CODES)), policy, banned)
    candidates = ((weights, _Figures.of(natural, mixtures, weights, policy, banned)) for weights in _grid(columns))
    weights, found = min(
        ((weights, figures) for weights, figures in candidates if figures.keeps(plain)),
        key=lambda candidate: (candidate[1].cost, *candidate[0]),
    )
    for column in range(len(CODES)):
        if column not in columns:
            weights[column] = _alone(natural, column)
    return FittedWeights(
        weights=weights,
        natural_banned_allowed=(plain.natural_banned, found.natural_banned),
        natural_safe_allowed=(plain.natural_safe, found.natural_safe),
        mixed_banned_allowed=(plain.mixed_banned, found.mixed_banned),
        mixed_safe_allowed=(plain.mixed_safe, found.mixed_safe),
    )


def _grid(columns: NDArray[np.int64]) -> Iterator[ScoreArray]:
    # A joint grid is 11**n: past three columns they share one weight.
    shared = len(columns) > 3  # noqa: PLR2004
    for values in product(_GRID, repeat=1 if shared else len(columns)):
        weights = np.zeros(len(CODES))
        weights[columns] = values[0] if shared else values
        yield weights


@dataclass(frozen=True)
class _Figures:
    natural_banned: float
    natural_safe: float
    missed: tuple[float, ...]
    """Natural banned chats below each operating point."""
    mixed_banned: float
    mixed_safe: float

    @classmethod
    def of(
        cls, natural: Answers, mixtures: Answers, weights: ScoreArray, policy: Policy, banned: frozenset[str]
    ) -> "_Figures":
        mask = banned_columns(banned)
        scores, truly = natural.evidence(weights)[:, mask].sum(axis=1), mask[natural.labels]
        mixed, truly_mixed = mixtures.evidence(weights)[:, mask].sum(axis=1), mask[mixtures.labels]
        curves = RiskCurves.of_scores(scores, natural.labels, banned)
        allowed, mixed_allowed = (_allowed(curves, found, policy) for found in (scores, mixed))
        points = tuple(
            share(scores <= operating_threshold(scores[~truly].astype(np.float32), rate), truly)
            for rate in _OPERATING_POINTS
        )
        return cls(
            share(allowed, truly), share(allowed, ~truly), points,
            share(mixed_allowed, truly_mixed), share(mixed_allowed, ~truly_mixed),
        )  # fmt: skip

    @property
    def cost(self) -> float:
        return self.mixed_banned + max(0.0, _MIXED_SAFE_TARGET - self.mixed_safe)

    def keeps(self, plain: "_Figures") -> bool:
        """Say whether natural chats are judged as well as by figures without pieces."""
        worse = [found - before for found, before in zip(self.missed, plain.missed, strict=True)]
        worse += [plain.natural_safe - self.natural_safe, self.natural_banned - plain.natural_banned]
        return max(worse) <= _TOLERANCE


def _allowed(curves: RiskCurves, scores: ScoreArray, policy: Policy) -> NDArray[np.bool_]:
    n_at_most = np.searchsorted(curves.banned_scores, scores, side="right")
    return np.asarray((1 + n_at_most) / (1 + len(curves.banned_scores)) <= policy.max_banned_to_safe_rate)


def _alone(natural: Answers, column: int) -> float:
    """Return the largest weight of one category with which its own chats are found as well among natural ones."""
    truly = natural.labels == column
    if not truly.any():
        return 0.0

    def missed(weight: float) -> float:
        scores = np.maximum(natural.windows[:, column], weight * natural.pieces[:, column])
        return share(scores <= operating_threshold(scores[~truly].astype(np.float32), _OPERATING_POINTS[0]), truly)

    plain = missed(0.0)
    return max(weight for weight in _GRID if missed(weight) <= plain + _TOLERANCE)
