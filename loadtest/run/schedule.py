"""Arrival schedules: when each event is meant to be sent, seconds after the start. Pure.

The load is open: the schedule never waits for the system under test, so that a stall shows as the latency of every
event that was due meanwhile. Source: Gil Tene, "How NOT to Measure Latency" (coordinated omission).

A made schedule is a row of phases, each with a rate that is constant or changes evenly; event k is due when the area
under the rates has reached k. A replayed schedule keeps the gaps of recorded times.

Invariant: times never decrease; the first event is due at 0.
"""

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Phase:
    """A stretch whose rate goes evenly from one value to another.

    Args:
        from_per_s: Events per second at its start, >= 0.
        to_per_s: Events per second at its end, >= 0; not both are 0.
        duration_s: Length, seconds, > 0.

    Raises:
        ValueError: there is no such phase.
    """

    from_per_s: float
    to_per_s: float
    duration_s: float

    def __post_init__(self) -> None:
        if min(self.from_per_s, self.to_per_s) < 0 or self.from_per_s + self.to_per_s <= 0 or self.duration_s <= 0:
            raise ValueError(f"{self}: expected rates and a duration above 0")

    @property
    def n_events(self) -> float:
        """The area under the rate."""
        return (self.from_per_s + self.to_per_s) / 2 * self.duration_s

    def time_of(self, n_events: float) -> float:
        """Return how long after its start `n_events` of this phase have become due, seconds."""
        slope = (self.to_per_s - self.from_per_s) / self.duration_s
        # Of the two forms of the solution the one that stays exact where the slope is small or nothing.
        root = math.sqrt(max(0.0, self.from_per_s**2 + 2 * slope * n_events))
        return 2 * n_events / (self.from_per_s + root) if n_events else 0.0


def due_times(phases: Sequence[Phase]) -> Iterator[float]:
    """Yield the send times of one phase after another: as many as the area says, at least one."""
    n_left = max(1, round(sum(phase.n_events for phase in phases)))
    begun_s, n_before, n_yielded = 0.0, 0.0, 0
    for phase in phases:
        while n_yielded - n_before < phase.n_events and n_left:
            yield begun_s + phase.time_of(n_yielded - n_before)
            n_yielded, n_left = n_yielded + 1, n_left - 1
        begun_s, n_before = begun_s + phase.duration_s, n_before + phase.n_events


@dataclass(frozen=True)
class Schedule:
    """When each event is due, and what a reader of the result must know of it.

    Args:
        kind: constant, ramp, burst or replay.
        due_s: Seconds after the start, never decreasing.
        burst_s: Start and end of the burst, seconds after the start.
    """

    kind: str
    due_s: "array[float]"
    burst_s: tuple[float, float] | None = None

    def __len__(self) -> int:
        return len(self.due_s)

    @classmethod
    def constant(cls, *, rate_per_s: float, duration_s: float) -> Self:
        """Return evenly spaced events."""
        return cls("constant", array("d", due_times([Phase(rate_per_s, rate_per_s, duration_s)])))

    @classmethod
    def ramp(cls, *, from_per_s: float, to_per_s: float, duration_s: float) -> Self:
        """Return events whose rate rises, or falls, evenly."""
        return cls("ramp", array("d", due_times([Phase(from_per_s, to_per_s, duration_s)])))

    @classmethod
    def burst(cls, *, rate_per_s: float, factor: float, at_s: float, burst_s: float, duration_s: float) -> Self:
        """Return a constant load that is `factor` times as high for a while.

        Args:
            rate_per_s: Events per second before and after, > 0.
            factor: The burst's rate over the rate, > 0.
            at_s: Start of the burst, > 0.
            burst_s: Length of the burst, > 0.
            duration_s: Length of the whole.

        Raises:
            ValueError: nothing is left after the burst, or a part is not above 0.
        """
        phases = [
            Phase(rate_per_s, rate_per_s, at_s),
            Phase(factor * rate_per_s, factor * rate_per_s, burst_s),
            Phase(rate_per_s, rate_per_s, duration_s - at_s - burst_s),
        ]
        return cls("burst", array("d", due_times(phases)), (at_s, at_s + burst_s))

    @classmethod
    def replayed(cls, times_s: Sequence[float], *, speed: float, duration_s: float | None = None) -> Self:
        """Return recorded arrivals with their own gaps.

        Args:
            times_s: Recorded times, seconds, in any order.
            speed: How many times as fast they come, > 0.
            duration_s: Leave out what is due later than this; None takes everything.

        Raises:
            ValueError: there are no times, or the speed is not positive.
        """
        if not times_s or speed <= 0:
            raise ValueError(
                f"{len(times_s)} recorded times at speed {speed}: expected one or more, and a speed above 0"
            )
        first = min(times_s)
        due = ((one - first) / speed for one in sorted(times_s))
        return cls("replay", array("d", (one for one in due if duration_s is None or one < duration_s)))
