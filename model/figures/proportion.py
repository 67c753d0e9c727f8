"""The exact interval of a share.

Source: Clopper, Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial (1934).
"""

import math
from typing import Final

CONFIDENCE: Final = 0.95
_HALVINGS: Final = 60
"""Leaves an error of 1e-18."""
_NEGLIGIBLE: Final = 1e-18
"""A term so much smaller than the sum so far ends it: the rest is smaller still."""


def clopper_pearson(n: int, of: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the interval that holds the true share with at least this confidence, each bound 0..1.

    Args:
        n: Events.
        of: Trials, at least 1.
        confidence: Above 0 and below 1.

    Raises:
        ValueError: there are no trials, or more events than trials.
    """
    if not 0 <= n <= of or of == 0:
        raise ValueError(f"{n} of {of}; expected at least one trial, and no more events than trials")
    tail = (1 - confidence) / 2
    low = 0.0 if n == 0 else 1.0 - _upper(of - n, of, tail)
    return low, _upper(n, of, tail)


def _upper(n: int, of: int, tail: float) -> float:
    """Return the share under which at most so many events are as improbable as `tail`."""
    if n == of:
        return 1.0
    low, high = n / of, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _at_most(n, of, middle) > tail:
            low = middle
        else:
            high = middle
    return high


def _at_most(n: int, of: int, share: float) -> float:
    """Return the probability of at most `n` events, where `share` is at least n / of: the last term is the largest."""
    if share >= 1.0:
        return 0.0
    log_term = (
        math.lgamma(of + 1)
        - math.lgamma(n + 1)
        - math.lgamma(of - n + 1)
        + n * math.log(share)
        + (of - n) * math.log1p(-share)
    )
    total, ratio, odds = 1.0, 1.0, (1 - share) / share
    for events in range(n, 0, -1):
        ratio *= events / (of - events + 1) * odds
        total += ratio
        if ratio < total * _NEGLIGIBLE:
            break
    return math.exp(log_term) * total
