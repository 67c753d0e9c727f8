"""Small jobs that are done again and again in one thread of their own."""

import threading
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from worker.process.seldom import Seldom

log = structlog.get_logger()

_SAME_FAULT_EVERY_S: Final = 60.0


class Periodic:
    """Does jobs at once and then every so often, until it is closed.

    Args:
        name: Of the thread.
        interval_s: Between two rounds.
        jobs: Each must be quick to fail. What one raises is logged, and it is done again in the next round.
    """

    def __init__(self, name: str, interval_s: float, jobs: Sequence[Callable[[], None]]) -> None:
        self._name = name
        self._interval_s = interval_s
        self._seldom = Seldom(_SAME_FAULT_EVERY_S)
        self._jobs = jobs
        self._closed = threading.Event()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def close(self) -> None:
        """Do no more rounds; one that has begun is not waited for: its files may lie on a volume that is away."""
        self._closed.set()

    def _run(self) -> None:
        while True:
            for job in self._jobs:
                try:
                    job()
                except Exception:
                    # Without this thread lists, tables or certificates would stay as they were, and nothing show it.
                    if self._seldom.due(job):
                        log.exception("periodic_job_failed", thread=self._name)
            if self._closed.wait(self._interval_s):
                return
