"""Exact intervals of shares.

Source: Korn, Graubard, Confidence intervals for proportions with small expected number of positive counts estimated
from survey data (1998), for weighted samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from model.figures.proportion import clopper_pearson


@dataclass(frozen=True)
class Share:
    """A share with its interval at 95 %; each None of nothing."""

    value: float | None
    low: float | None
    high: float | None


NOTHING: Final = Share(None, None, None)


def exact_share(n: int, of: int) -> Share:
    """Return a share of equally likely draws with its Clopper-Pearson interval.

    Args:
        n: How many have it.
        of: Of how many.

    Raises:
        ValueError: n is not between 0 and `of`.
    """
    if not 0 <= n <= of:
        raise ValueError(f"n is {n} of {of}; expected 0 to {of}")
    if of == 0:
        return NOTHING
    return _share(n / of, float(n), float(of))


def weighted_share(drawn: Sequence[tuple[bool, float]]) -> Share:
    """Return the share in the population from which items were drawn with unequal probabilities.

    The value is Hajek's ratio of weights. The interval is Clopper-Pearson's on as many draws as the sample is worth:
    fewer than it has, the more its weights differ. Where all items agree, this has a width, too.

    Args:
        drawn: Of each item whether it has the property, and with which probability it was drawn, above 0 to 1.

    Raises:
        ValueError: a probability is none.
    """
    if any(not 0 < inclusion <= 1 for _, inclusion in drawn):
        raise ValueError("an inclusion probability is outside of (0, 1]; expected those with which items were drawn")
    if not drawn:
        return NOTHING
    weights = [1 / inclusion for _, inclusion in drawn]
    total = sum(weights)
    value = sum(weight for (has, _), weight in zip(drawn, weights, strict=True) if has) / total
    # Kish: what a sample with these weights is worth, in draws with equal ones.
    worth = total**2 / sum(weight**2 for weight in weights)
    variance = sum((weight * (has - value)) ** 2 for (has, _), weight in zip(drawn, weights, strict=True)) / total**2
    if variance > 0:
        worth = min(worth, value * (1 - value) / variance)
    return _share(value, value * worth, worth)


def _share(value: float, n: float, of: float) -> Share:
    # Rounding may put a count of weights a hair outside of what it is of.
    low, high = clopper_pearson(min(max(n, 0.0), of), of)
    # A rounded weight must not put the value outside of its own interval.
    return Share(value, min(low, value), max(high, value))
