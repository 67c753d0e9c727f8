"""Which predictor is in use, and which one takes over at the next batch.

Invariant: the predictor changes only inside `take`, which the loop calls between two batches; whoever holds the old
one keeps a complete one.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog
from prometheus_client import Gauge

from worker.predictor import Predictor, show_calibration, show_policies
from worker.process.metrics import Metrics
from worker.reload.watcher import Role

log = structlog.get_logger()

First = TypeVar("First", bound=Predictor | None)

OnSwap = Callable[[Predictor | None, Predictor], None]
"""Called with the old and the new predictor, in the thread that takes it."""


class PredictorSwitch(Generic[First]):
    """Holds a predictor and at most one that waits.

    Args:
        first: The predictor to begin with, or None where it is still to come.
        on_swap: Told of every change.
    """

    def __init__(self, first: First, on_swap: OnSwap) -> None:
        self._current: First | Predictor = first
        self._on_swap = on_swap
        self._waiting: Predictor | None = None
        self._lock = threading.Lock()

    def offer(self, predictor: Predictor) -> None:
        """Let this predictor take over next; one that still waits is dropped. Any thread."""
        with self._lock:
            self._waiting = predictor

    def newest(self) -> First | Predictor:
        """Return the predictor that waits, else the one in use. Any thread."""
        with self._lock:
            return self._current if self._waiting is None else self._waiting

    def take(self) -> First | Predictor:
        """Return the predictor of the next batch. One thread."""
        if self._waiting is not None:
            with self._lock:
                new, self._waiting = self._waiting, None
                old = self._current
                self._current = old if new is None else new
            if new is not None:
                self._on_swap(old, new)
        return self._current


def shown_in(metrics: Metrics, info: Gauge, role: Role, retire: Callable[[Predictor], None]) -> OnSwap:
    """Return what counts, shows and logs each change.

    Args:
        metrics: Where it is counted.
        info: The metric that names the predictor in use.
        role: Whose predictor it is.
        retire: Takes the old predictor.
    """

    def on_swap(old: Predictor | None, new: Predictor) -> None:
        metrics.reloads.labels(role, "swapped").inc()
        # The new one first: a scrape in between sees two rather than none.
        info.labels(*new.labels).set(1)
        if old is not None and old.labels != new.labels:
            info.remove(*old.labels)
        show_calibration(new, metrics, role)
        if role == "live":
            show_policies(new, metrics, old)
        log.info("model_swapped", role=role, **new.logged(), old_digest=old and old.builder.model.digest)
        if old is not None:
            retire(old)

    return on_swap
