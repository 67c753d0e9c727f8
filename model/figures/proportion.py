"""The exact interval of a share.

Sources: Clopper, Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial (1934), with
bounds that are quantiles of beta distributions; the incomplete beta function by its continued fraction, as Lentz
evaluates it (Press and others, Numerical Recipes, 6.4).
"""

import math
from typing import Final

CONFIDENCE: Final = 0.95
_TINY: Final = 1e-300
_CLOSE: Final = 1e-14
_MOST_TERMS: Final = 20_000
_N_HALVINGS: Final = 60
"""Leaves an error of 1e-18."""


def clopper_pearson(n: float, of: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the interval that holds the true share with at least this confidence, each bound 0..1.

    Args:
        n: Events; of a weighted sample as many as it is worth, which need not be a whole number.
        of: Trials, above 0.
        confidence: Above 0 and below 1.

    Raises:
        ValueError: there are no trials, or more events than trials.
    """
    if not 0 <= n <= of or of == 0:
        raise ValueError(f"{n} of {of}; expected at least one trial, and no more events than trials")
    tail = (1 - confidence) / 2
    low = 0.0 if n == 0 else _beta_quantile(tail, n, of - n + 1)
    high = 1.0 if n == of else _beta_quantile(1 - tail, n + 1, of - n)
    return low, high


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
