"""Keep a line that repeats from flooding the log: written at once, then now and then with how many were left out."""

import logging
import math
import re
import threading
import time
from collections.abc import Callable
from typing import Final

from worker.process.log_sources import message_of

EVERY_S: Final = 60.0
_KEPT_FOR: Final = 10
"""Times as long as that a count is kept for a line that has not come again."""
_NUMBER: Final = re.compile(r"\d+")


class RepeatedLines(logging.Filter):
    """Lets a line pass that was not written for a while; lines that differ in their numbers alone are the same.

    May be shared between loggers and threads.

    Args:
        every_s: Shortest time between two of the same, seconds.
        clock: Monotonic seconds.
    """

    def __init__(self, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every_s = every_s
        self._clock = clock
        self._lock = threading.Lock()
        self._written: dict[tuple[int, str], tuple[float, int]] = {}
        """Level and text without numbers to when it was written last and how many were left out since."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the line is written, and add to its text how many like it were not."""
        message = message_of(record)
        what = record.levelno, _NUMBER.sub("#", message)
        now = self._clock()
        with self._lock:
            written_at, n_left_out = self._written.get(what, (-math.inf, 0))
            if now - written_at < self._every_s:
                self._written[what] = written_at, n_left_out + 1
                return False
            self._forget(now)
            self._written[what] = now, 0
        if n_left_out:
            record.msg, record.args = f"{message} ({n_left_out} like it left out in {now - written_at:.0f} s)", None
        return True

    def _forget(self, now: float) -> None:
        """Drop what was written long ago and has nothing left to tell: texts are without end."""
        self._written = {
            what: (at, n_left_out)
            for what, (at, n_left_out) in self._written.items()
            if now - at < self._every_s or (n_left_out and now - at < _KEPT_FOR * self._every_s)
        }
