"""Since when there is something to commit and nothing can be committed, whatever keeps it from that."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping

from worker.kafka.partition_range import Partition


class Uncommitted:
    """Keeps the offsets that were to be committed and are not; the loop, the commit thread and the health server call.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[Partition, int] = {}
        self._since = 0.0

    def tried(self, offsets: Mapping[Partition, int]) -> None:
        """Take that these offsets are about to be committed."""
        with self._lock:
            if not self._open:
                self._since = self._clock()
            self._open |= offsets

    def done(self) -> None:
        """Take that something was committed: what else is open gets its turn."""
        with self._lock:
            self._open.clear()

    def found(self, place: Partition, committed: int | None) -> None:
        """Take what the group has committed: a commit in doubt went through, or another worker was quicker."""
        with self._lock:
            if committed is not None and committed >= self._open.get(place, committed + 1):
                del self._open[place]

    def released(self, places: Iterable[Partition]) -> None:
        """Take that these are somebody else's to commit."""
        with self._lock:
            for place in places:
                self._open.pop(place, None)

    @property
    def seconds(self) -> float:
        """How long nothing could be committed; 0 where nothing is to be."""
        with self._lock:
            return self._clock() - self._since if self._open else 0.0
