"""How sending goes: for the banner of the pages, for an admin, and for metrics."""

import threading
from typing import NamedTuple

from console.metrics import Metrics
from console.store.outbox_rows import Kind
from console.store.outbox_shown import Backlog, backlog
from console.store.store import Store


class Trouble(NamedTuple):
    """Nothing is sent now."""

    since_ms: int
    error: str


class SendingState:
    """Written by the sending thread, read by any.

    Args:
        metrics: Where it is shown.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()
        self._trouble: Trouble | None = None
        for kind in Kind:
            for result in ("sent", "refused"):
                # There before the first one, or an increase() would not see it.
                metrics.outbox_rows.labels(kind=kind.value, result=result)

    @property
    def trouble(self) -> Trouble | None:
        """Since when the pipeline does not take what is sent, and why; None where all is well."""
        with self._lock:
            return self._trouble

    def away(self, error: str, now: int) -> None:
        """Take that a try failed at a time, milliseconds since 1970."""
        with self._lock:
            since_ms = now if self._trouble is None else self._trouble.since_ms
            self._trouble = Trouble(since_ms, error)

    def well(self) -> None:
        """Take that a try went well."""
        with self._lock:
            self._trouble = None

    def sent(self, kind: Kind) -> None:
        """Count a row that was sent."""
        self._metrics.outbox_rows.labels(kind=kind.value, result="sent").inc()

    def refused(self, kind: Kind) -> None:
        """Count a row that was refused for good."""
        self._metrics.outbox_rows.labels(kind=kind.value, result="refused").inc()

    def show(self, store: Store, now: int) -> Backlog:
        """Show what waits; raises StoreAway."""
        with store.reading() as connection:
            found = backlog(connection, now)
        self._metrics.outbox_waiting.set(found.n_waiting)
        self._metrics.outbox_oldest_s.set(0 if found.oldest_ms is None else max(0, now - found.oldest_ms) / 1_000)
        self._metrics.outbox_refused.set(found.n_refused)
        return found
