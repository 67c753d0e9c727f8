"""What /livez and /readyz answer, from the first moment of a start to the last one before an exit.

Liveness asks for a restart and so fails only where one would help: waiting for Kafka is no reason. Readiness says
whether the worker takes its share now, and what keeps it from that.
"""

from collections.abc import Sequence

from worker.process.health import Check
from worker.process.lifecycle import Lifecycle


class Probes:
    """The answers. Told by the worker's threads, asked by the health server's.

    Args:
        lifecycle: Knows when the loop came round, and whether it is to stop.
        stalled_after_s: Longest time for one turn of the loop.
    """

    def __init__(self, lifecycle: Lifecycle, *, stalled_after_s: float) -> None:
        self._lifecycle = lifecycle
        self._stalled_after_s = stalled_after_s
        self._doing = "starting"
        self._checks: Sequence[Check] | None = None
        self._failure: str | None = None

    def waiting(self, doing: str) -> None:
        """Take that something is waited for, and that this is no stall."""
        self._lifecycle.beat()
        self._doing = doing

    def serving(self, checks: Sequence[Check]) -> None:
        """Take that the start is over: the worker is ready while none of these finds anything."""
        self._checks = checks

    def failed(self, why: str) -> None:
        """Take that the process is about to end."""
        self._failure = why

    def live(self) -> str | None:
        """Answer /livez."""
        silent_s = self._lifecycle.silent_s
        if silent_s <= self._stalled_after_s:
            return None
        return f"the loop has not come round for {silent_s:.0f} s"

    def ready(self) -> str | None:
        """Answer /readyz."""
        if self._failure is not None:
            return self._failure
        if self._lifecycle.stopping.is_set():
            return "stopping"
        if self._checks is None:
            return f"starting: {self._doing}"
        return next((problem for check in self._checks if (problem := check()) is not None), None)
