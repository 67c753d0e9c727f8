"""What the database says of queue and outbox, shown as gauges: a thread looks every 15 s.

Every console of one database shows the same figures, so that an alert needs one of them and takes the largest.
"""

import threading
from collections.abc import Callable
from typing import Any, Final

import structlog
from prometheus_client import Gauge
from sqlalchemy import Connection, case, func, select

from console.metrics import Metrics
from console.pipeline.behind import Behind
from console.pipeline.errors import PipelineAway
from console.store.outbox_shown import backlog
from console.store.store import Store, StoreAway, now_ms
from console.store.tables import access_log, items, offsets

EVERY_S: Final = 15.0
_CLOSE_S: Final = 10.0
_HOUR_MS: Final = 3_600_000
_MS: Final = 1_000

log = structlog.get_logger()


class Gauges:
    """Sets the gauges of `Metrics`.

    Args:
        store: The database.
        behind: Asks how far the topics are.
        metrics: Whose gauges.
        answer_within_s: Items that wait for longer are late.
        clock: Milliseconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        behind: Behind,
        metrics: Metrics,
        *,
        answer_within_s: float,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._store = store
        self._behind = behind
        self._metrics = metrics
        self._answer_within_ms = round(answer_within_s * _MS)
        self._clock = clock
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gauges", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """End, after the look in hand where that does not hang."""
        self._ended.set()
        self._thread.join(_CLOSE_S)

    def look(self) -> None:
        """Set every gauge once; what does not answer leaves its own as they were, and says that it is away."""
        now = self._clock()
        try:
            with self._store.reading() as connection:
                self._look_at_items(connection, now)
                self._look_at_outbox(connection, now)
                self._look_at_reveals(connection, now)
                read = {(row.topic, row.partition): row.next_offset for row in connection.execute(select(offsets))}
        except StoreAway as error:
            self._say_away(self._metrics.store_away, "store_away", error)
            return
        if (refusal := self._store.write_error) is None:
            self._metrics.store_away.set(0)
        else:
            self._say_away(self._metrics.store_away, "store_takes_no_changes", refusal)
        try:
            behind = self._behind.records(read)
        except PipelineAway as error:
            self._say_away(self._metrics.pipeline_away, "pipeline_away", error)
            return
        self._metrics.pipeline_away.set(0)
        _show(self._metrics.intake_lag, {(topic,): float(n) for topic, n in behind.items()})

    def _run(self) -> None:
        while not self._ended.is_set():
            self.look()
            self._ended.wait(EVERY_S)

    def _look_at_items(self, connection: Connection, now: int) -> None:
        is_late = case((items.c.arrived_ms < now - self._answer_within_ms, 1), else_=0)
        found = connection.execute(
            select(
                items.c.queue,
                items.c.kind,
                func.count().label("n_open"),
                func.sum(is_late).label("n_late"),
                func.min(items.c.arrived_ms).label("oldest_ms"),
            )
            .where(items.c.state == "open")
            .group_by(items.c.queue, items.c.kind)
        ).all()
        metrics = self._metrics
        _show(metrics.review_open_items, {(row.queue, row.kind): float(row.n_open) for row in found})
        _show(metrics.review_late_items, {(row.queue, row.kind): float(row.n_late) for row in found})
        _show(metrics.review_oldest_s, {(row.queue, row.kind): _age_s(row.oldest_ms, now) for row in found})

    def _look_at_outbox(self, connection: Connection, now: int) -> None:
        # As the sender shows it, which does so each second while it does not hang.
        found = backlog(connection, now)
        self._metrics.outbox_waiting.set(found.n_waiting)
        self._metrics.outbox_oldest_s.set(_age_s(found.oldest_ms, now))
        self._metrics.outbox_refused.set(found.n_refused)

    def _look_at_reveals(self, connection: Connection, now: int) -> None:
        of_each = connection.execute(
            select(func.count().label("n"))
            .where(access_log.c.action == "reveal", access_log.c.at_ms > now - _HOUR_MS)
            .group_by(access_log.c.actor)
        ).scalars()
        found = list(of_each)
        self._metrics.reveals.labels(person="all").set(sum(found))
        self._metrics.reveals.labels(person="most").set(max(found, default=0))

    @staticmethod
    def _say_away(gauge: Gauge, event: str, error: Exception | str) -> None:
        gauge.set(1)
        log.warning(event, op="gauges", error=str(error))


def _age_s(since_ms: int | None, now: int) -> float:
    return 0.0 if since_ms is None else max(0, now - since_ms) / _MS


def _show(gauge: Gauge, found: dict[tuple[Any, ...], float]) -> None:
    # What is no longer there is 0 and not as it was; nor is it gone, or an alert on it would end for another reason.
    for labels in {tuple(sample.labels.values()) for family in gauge.collect() for sample in family.samples} - set(
        found
    ):
        gauge.labels(*labels).set(0)
    for labels, value in found.items():
        gauge.labels(*labels).set(value)
