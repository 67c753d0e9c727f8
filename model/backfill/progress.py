"""Say how far a run has come, now and then. Pure: the clock and the line's way out are passed in."""

from collections.abc import Callable
from typing import Final

_EVERY_S: Final = 10.0
_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3_600.0


class Progress:
    """Rows that were judged, of all.

    Args:
        n_rows: Of the whole run.
        n_done: Judged by an earlier start.
        clock: Monotonic seconds.
        say: Takes a line.
    """

    def __init__(self, n_rows: int, n_done: int, clock: Callable[[], float], say: Callable[[str], None]) -> None:
        self._n_rows = n_rows
        self._n_before = self._n_done = n_done
        self._clock = clock
        self._say = say
        self._started_s = self._said_s = clock()

    def advance(self, n_rows: int) -> None:
        """Count rows; says a line where the last one is ten seconds old."""
        self._n_done += n_rows
        now_s = self._clock()
        if now_s - self._said_s < _EVERY_S:
            return
        self._said_s = now_s
        rate = (self._n_done - self._n_before) / (now_s - self._started_s)
        share = self._n_done / self._n_rows
        left_s = (self._n_rows - self._n_done) / rate
        self._say(
            f"{self._n_done:,} of {self._n_rows:,} rows ({share:.0%}), {rate:,.0f} rows/s, {_duration(left_s)} left"
        )


def _duration(seconds: float) -> str:
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    return f"{seconds / _MINUTE_S:.0f} min" if seconds < _HOUR_S else f"{seconds / _HOUR_S:.1f} h"
