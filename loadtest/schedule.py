"""Arrival schedules: when each event is meant to be sent, seconds after the start. Pure.

The load is open: the schedule never waits for the system under test, so that a stall shows as the latency of every
event that was due meanwhile. Source: Gil Tene, "How NOT to Measure Latency" (coordinated omission).

Invariant: times never decrease; the first event is due at 0.
"""

from collections.abc import Iterator


def n_constant(*, rate_per_s: float, duration_s: float) -> int:
    """Return how many events `constant` schedules."""
    return max(1, round(rate_per_s * duration_s))


def constant(*, rate_per_s: float, duration_s: float) -> Iterator[float]:
    """Yield evenly spaced send times.

    Args:
        rate_per_s: Events per second, > 0.
        duration_s: Length of the schedule, seconds, > 0.

    Raises:
        ValueError: an argument is not positive.
    """
    if rate_per_s <= 0 or duration_s <= 0:
        raise ValueError(f"rate_per_s={rate_per_s} and duration_s={duration_s}: expected both to be above 0")
    for i in range(n_constant(rate_per_s=rate_per_s, duration_s=duration_s)):
        yield i / rate_per_s
