"""How far stated probabilities are what happens: bins, their mean gap, and the matrix of categories."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.figures.proportion import clopper_pearson

N_BINS: Final = 15
"""Of equal width, as in the calibration error of the reports."""


class Bin(NamedTuple):
    """Chats whose stated probability lies between two bounds."""

    low: float
    high: float
    n: int
    stated: float
    """Mean of what was stated."""
    n_true: int
    found: float
    """Share of which it was true."""
    least: float
    most: float
    """95 % interval (Clopper-Pearson) of `found`."""


def reliability(stated: NDArray[np.floating[Any]], true: NDArray[np.bool_], n_bins: int = N_BINS) -> list[Bin]:
    """Return the bins that hold a chat, ascending.

    Args:
        stated: float [n_chats], 0..1.
        true: bool [n_chats], whether what was stated is so.
        n_bins: Of equal width over 0..1.
    """
    places = np.minimum((stated * n_bins).astype(np.int64), n_bins - 1)
    bins = []
    for i in range(n_bins):
        inside = places == i
        n, n_true = int(inside.sum()), int(true[inside].sum())
        if n:
            mean = float(stated[inside].mean(dtype=np.float64))
            bins.append(Bin(i / n_bins, (i + 1) / n_bins, n, mean, n_true, n_true / n, *clopper_pearson(n_true, n)))
    return bins


def expected_calibration_error(bins: list[Bin]) -> float:
    """Return the mean distance between stated and found over the chats of all bins, 0..1.

    Source: Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks (2017), section 2.
    """
    n = sum(one.n for one in bins)
    return sum(one.n * abs(one.stated - one.found) for one in bins) / n if n else 0.0


def confusion(labels: NDArray[np.int64], named: NDArray[np.int64], n_categories: int) -> list[list[int]]:
    """Return [n_categories][n_categories]: chats by true category, then by the named one."""
    cells = np.bincount(labels * n_categories + named, minlength=n_categories**2)
    table: list[list[int]] = cells.reshape(n_categories, n_categories).tolist()
    return table
