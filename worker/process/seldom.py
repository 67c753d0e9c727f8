"""How often a warning is worth a line: what is wrong with one record is mostly wrong with millions."""

import time
from collections.abc import Callable
from typing import Final

PERIOD_S: Final = 600.0


class Seldom:
    """Says of each thing when it is due; not to be shared between threads.

    Args:
        period_s: Shortest time between two times that one thing is due.
        clock: Monotonic, seconds.
    """

    def __init__(self, period_s: float = PERIOD_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._period_s = period_s
        self._clock = clock
        self._said_s: dict[str, float] = {}

    def is_due(self, what: str) -> bool:
        """Say whether something is due, the first time at once; it then is not for a period."""
        now_s = self._clock()
        if now_s - self._said_s.get(what, -self._period_s) < self._period_s:
            return False
        self._said_s[what] = now_s
        return True
