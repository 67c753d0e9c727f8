"""Exact intervals of proportions: a bootstrap of "0 of 28" says 0 to 0 %, and the truth may be 12 %.

Source: Clopper, Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial (1934).
"""

from typing import Final

from scipy.stats import binomtest

from training_pipeline.report.document import Count, Interval

CONFIDENCE: Final = 0.95

_SMALL: Final = 10
"""Fewer events, or fewer of their opposite: there a bootstrap is too narrow."""


def exact_bounds(count: Count) -> tuple[float, float] | None:
    """Return the Clopper-Pearson interval of a share, each bound 0..1; None of no chats."""
    if count.of == 0:
        return None
    bounds = binomtest(count.n, count.of).proportion_ci(CONFIDENCE, method="exact")
    return float(bounds.low), float(bounds.high)


def exact_interval(count: Count) -> Interval:
    """Return a share with its exact interval, rounded; without bounds of no chats."""
    bounds = exact_bounds(count)
    if bounds is None:
        return Interval(value=0.0)
    return Interval(value=round(count.rate, 4), low=round(bounds[0], 4), high=round(bounds[1], 4))


def no_narrower(figure: Interval, count: Count) -> Interval:
    """Return a bootstrap interval that is at least as wide as the exact one where the count is small.

    For a share whose threshold was itself chosen on the chats: the bootstrap knows of the threshold, the exact interval
    of the small count.
    """
    bounds = exact_bounds(count)
    if figure.low is None or figure.high is None or bounds is None or min(count.n, count.of - count.n) >= _SMALL:
        return figure
    low, high = (round(bound, 4) for bound in bounds)
    return Interval(value=figure.value, low=min(figure.low, low), high=max(figure.high, high))
