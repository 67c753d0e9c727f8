"""Tell Prometheus how far the traffic has drifted, every few minutes, whether or not somebody looks."""

import math
import threading
from typing import Final

import structlog

from console.metrics import Metrics
from console.pages.model.drift import DriftFigures
from console.store.store import StoreAway, now_ms

HOURS: Final = 24
EVERY_S: Final = 300.0
_CLOSE_S: Final = 10.0

log = structlog.get_logger()


class DriftWatch:
    """A thread that sets `moderation_console_drift_psi`.

    Args:
        figures: Computes it.
        metrics: Shows it.
    """

    def __init__(self, figures: DriftFigures, metrics: Metrics) -> None:
        self._figures = figures
        self._metrics = metrics
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drift", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, and wait for it."""
        self._ends.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)

    def look(self) -> None:
        """Set the metric once; NaN where nothing can be said, so that no alert rests on an old value."""
        try:
            found = self._figures.watched(now_ms(), HOURS)
        except StoreAway as error:
            log.warning("drift_not_read", error=str(error))
            self._metrics.drift.clear()
            return
        for one in found:
            self._metrics.drift.labels(what=one.what).set(math.nan if one.drift.psi is None else one.drift.psi)

    def _run(self) -> None:
        while True:
            self.look()
            if self._ends.wait(EVERY_S):
                return
