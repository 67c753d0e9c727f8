"""Fit what the pieces of a chat count, per category, on chats as they are and on mixtures.

A weight that is too small lets a banned passage hide beside safe text; one that is too large makes the worst piece of
every long chat a reason against it. So the weights are those that rank mixtures best, banned against safe, among those
that leave natural chats ranked about as well as without pieces.

Invariant: the same answers give the same weights.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.calibration import ScoreArray
from training_pipeline.bundle.scaling_fit import Groups
from training_pipeline.quality.metrics import operating_threshold, share

_GRID: Final = tuple(round(0.1 * step, 1) for step in range(11))
_RATES: Final = tuple(0.01 * percent for percent in range(1, 9))
"""Shares of natural safe chats that lie above a threshold; figures are means over these thresholds, since one alone
would be decided by a handful of chats."""
_TOLERANCE: Final = 0.0125
"""Share of natural banned chats that may be missed beyond those that are missed without pieces."""
_SAFE_WEIGHT: Final = 2.0
"""What a safe mixture above a threshold costs, where a banned one below it costs 1: there are far more safe chats."""


@dataclass(frozen=True)
class Answers:
    """What the model says of chats."""

    labels: NDArray[np.int64]
    """int64 [n_chats], true column indices."""
    windows: ScoreArray
    """float64 [n_chats, n_categories], of the main window."""
    pieces: ScoreArray
    """float64 [n_chats, n_categories], the larger of that and the largest of the pieces."""

    def evidence(self, weights: ScoreArray) -> ScoreArray:
        """Return the evidence under these weights, float64 [n_chats, n_categories]."""
        # Where the window says more than a piece, it says more than the weighted piece too.
        evidence: ScoreArray = np.maximum(self.windows, self.pieces * weights)
        return evidence


@dataclass(frozen=True)
class Misjudged:
    """Chats on the wrong side of thresholds that natural safe chats set; shares 0..1, means over these thresholds."""

    natural_banned_below: float
    mixed_banned_below: float
    """Of the banned category that fares worst, so that the rarest, which is the gravest, is not paid with."""
    mixed_safe_above: float

    @property
    def cost(self) -> float:
        """Return what a choice of weights is judged by."""
        return self.mixed_banned_below + _SAFE_WEIGHT * self.mixed_safe_above


@dataclass(frozen=True)
class FittedWeights:
    """Weights, and how the chats that fitted them fare without pieces and with them."""

    weights: ScoreArray
    """float64 [n_categories]."""
    without: Misjudged
    with_pieces: Misjudged


def fit_piece_weights(
    natural: Answers, mixtures: Answers, groups: Groups, fixed: Mapping[str, float] | None = None
) -> FittedWeights:
    """Return a weight for each category.

    Args:
        natural: Chats that training did not see, as they are.
        mixtures: Such chats with safe text beside theirs.
        groups: The columns; the weights of the banned categories are fitted together; every other category by
            itself, as the largest that leaves natural chats judged as well.
        fixed: Weights that are given, by category code; only the others are fitted.

    Raises:
        ValueError: the natural chats are all banned or all safe.
    """
    mask, n_categories = groups.banned, len(groups.codes)
    columns = np.flatnonzero(mask)
    if mask[natural.labels].all() or not mask[natural.labels].any():
        raise ValueError("the natural chats are all banned or all safe; expected both kinds; name more chats")
    without = _misjudged(natural, mixtures, np.zeros(n_categories), mask)
    given = {groups.codes.index(code): weight for code, weight in (fixed or {}).items()}
    candidates = [
        (weights, _misjudged(natural, mixtures, weights, mask)) for weights in _grid(columns, given, n_categories)
    ]
    limit = without.natural_banned_below + _TOLERANCE
    kept = [candidate for candidate in candidates if candidate[1].natural_banned_below <= limit]
    # Given weights may leave none that keeps the limit; whoever gave them wants them all the same.
    weights, found = min(kept or candidates, key=lambda candidate: (candidate[1].cost, *candidate[0]))
    for column in range(n_categories):
        if not mask[column]:
            weights[column] = given.get(column, _alone(natural, column))
    return FittedWeights(weights, without, found)


def _grid(columns: NDArray[np.int64], given: Mapping[int, float], n_categories: int) -> Iterator[ScoreArray]:
    free = [column for column in columns if column not in given]
    # A joint grid is 11**n: past three columns they share one weight.
    shared = len(free) > 3  # noqa: PLR2004
    for values in product(_GRID, repeat=min(1, len(free)) if shared else len(free)):
        weights = np.zeros(n_categories)
        weights[list(given)] = list(given.values())
        weights[free] = values[0] if shared else values
        yield weights


def _misjudged(natural: Answers, mixtures: Answers, weights: ScoreArray, mask: NDArray[np.bool_]) -> Misjudged:
    scores, mixed = (answers.evidence(weights)[:, mask].sum(axis=1) for answers in (natural, mixtures))
    is_banned, is_mixed_banned = mask[natural.labels], mask[mixtures.labels]
    of_category = [mixtures.labels == column for column in np.flatnonzero(mask)]
    thresholds = [operating_threshold(scores[~is_banned], rate) for rate in _RATES]

    def mean_below(found: ScoreArray, among: NDArray[np.bool_]) -> float:
        return float(np.mean([share(found <= threshold, among) for threshold in thresholds]))

    return Misjudged(
        natural_banned_below=mean_below(scores, is_banned),
        mixed_banned_below=max(mean_below(mixed, category) for category in of_category),
        mixed_safe_above=float(np.mean([share(mixed > threshold, ~is_mixed_banned) for threshold in thresholds])),
    )


def _alone(natural: Answers, column: int) -> float:
    """Return the largest weight of one category with which its own chats are found as well among natural ones."""
    truly = natural.labels == column
    if not truly.any() or truly.all():
        return 0.0

    def missed(weight: float) -> float:
        scores = np.maximum(natural.windows[:, column], weight * natural.pieces[:, column])
        return float(np.mean([share(scores <= operating_threshold(scores[~truly], rate), truly) for rate in _RATES]))

    limit = missed(0.0) + _TOLERANCE
    return max(weight for weight in _GRID if missed(weight) <= limit)
