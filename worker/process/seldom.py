"""Say a thing that repeats itself only now and then: what is wrong with one record is mostly wrong with millions."""

import time
from collections.abc import Callable, Hashable


class Seldom:
    """Keeps when each thing was last said; not to be shared between threads.

    Args:
        every_s: Shortest time between two of the same, seconds.
        clock: Monotonic seconds.
    """

    def __init__(self, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s = every_s
        self._clock = clock
        self._said_at: dict[Hashable, float] = {}

    def due(self, what: Hashable) -> bool:
        """Say whether this is to be said now, and take that it is."""
        now = self._clock()
        said_at = self._said_at.get(what)
        if said_at is not None and now - said_at < self._every_s:
            return False
        self._said_at = {one: at for one, at in self._said_at.items() if now - at < self._every_s} | {what: now}
        return True

    def forget(self, what: Hashable) -> None:
        """Let this be said at once when it comes again."""
        self._said_at.pop(what, None)
