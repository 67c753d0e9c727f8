"""What keeps a replay from starving live workers: a rate, and a pause while the live group is behind.

The clock is passed in; nothing here sleeps.
"""

import time
from collections.abc import Callable
from typing import Final

import structlog

from worker.kafka.retry import asked_once

log = structlog.get_logger()

_BURST_S: Final = 0.5
"""A rate is held over so long: shorter bursts cost a transaction each, longer ones are felt by the live workers."""


class RateLimit:
    """A token bucket.

    Args:
        per_s: Records per second of the whole replay.
        clock: Monotonic seconds.
    """

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._filled_at = clock()
        self._tokens = 0.0
        self.share = 1.0
        """This process' part of the rate, 0..1."""

    def allowance(self) -> int:
        """Return how many records may be taken now."""
        now = self._clock()
        rate = self._per_s * self.share
        # At least one record fits, or a slow rate would never let any pass.
        self._tokens = min(max(1.0, rate * _BURST_S), self._tokens + rate * (now - self._filled_at))
        self._filled_at = now
        return int(self._tokens)

    def take(self, n_records: int) -> None:
        """Note that so many were taken."""
        self._tokens -= n_records


class LagGuard:
    """Says whether the live group is behind.

    Args:
        read_lag: Returns the live group's lag, records; raises KafkaException where the brokers do not answer.
        max_lag: Lag above which the replay holds; it goes on below half of it, so that the two do not take turns.
        every_s: How often the lag is read.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        read_lag: Callable[[], int],
        *,
        max_lag: int,
        every_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read_lag = read_lag
        self._max_lag = max_lag
        self._every_s = every_s
        self._clock = clock
        self._read_at = -every_s
        self._holding = False
        self.held_s = 0.0
        """Time spent holding."""

    def holding(self) -> bool:
        """Say whether to hold now; reads the lag where it is time to."""
        now = self._clock()
        if now - self._read_at < self._every_s:
            return self._holding
        if self._holding:
            self.held_s += now - self._read_at
        self._read_at = now
        lag = asked_once("live_lag_unknown", self._read_lag)
        if lag is None:
            # Brokers too busy to tell the lag are no reason to load them more.
            self._holding = True
            return True
        hold = lag > (self._max_lag // 2 if self._holding else self._max_lag)
        if hold != self._holding:
            log.info("replay_holds" if hold else "replay_goes_on", live_lag=lag, max_lag=self._max_lag)
        self._holding = hold
        return hold
