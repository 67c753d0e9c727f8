"""Exact intervals of shares.

Sources: Clopper, Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial (1934), with
bounds that are quantiles of beta distributions; Korn, Graubard, Confidence intervals for proportions with small
expected number of positive counts estimated from survey data (1998), for weighted samples; the incomplete beta function
by its continued fraction, as Lentz evaluates it (Press and others, Numerical Recipes, 6.4).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

CONFIDENCE: Final = 0.95
_TINY: Final = 1e-300
_CLOSE: Final = 1e-14
_MOST_TERMS: Final = 20_000
_N_HALVINGS: Final = 60


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
    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if n <= 0 else _beta_quantile(tail, n, of - n + 1)
    high = 1.0 if n >= of else _beta_quantile(1 - tail, n + 1, of - n)
    # A rounded weight must not put the value outside of its own interval.
    return Share(value, min(low, value), max(high, value))


def _beta_quantile(p: float, a: float, b: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(_N_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _beta_below(middle, a, b) < p else (low, middle)
    return (low + high) / 2


def _beta_below(x: float, a: float, b: float) -> float:
    """Return the regularized incomplete beta function."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    # Beyond this point the fraction of the other tail converges faster.
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_below(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) * _fraction(x, a, b) / a


def _fraction(x: float, a: float, b: float) -> float:
    upper, lower = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    found = lower
    for m in range(1, _MOST_TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            lower = 1 / _not_zero(1 + term * lower)
            upper = _not_zero(1 + term / upper)
            found *= upper * lower
        if abs(upper * lower - 1) < _CLOSE:
            break
    return found


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
