"""Follow the overrides topic in a thread of its own.

The topic is read whole before the first batch. From then on a record counts within a fraction of a second, and what
goes wrong here ends nothing: the overrides that are known go on counting, and the gauges show that no newer ones come.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import structlog

from schemas import Override
from worker.kafka.partition_range import Partition
from worker.kafka.record_fetch import RecordFetcher
from worker.kafka.topic_follower import TopicFollower
from worker.kafka.topic_scan import ScannedRecord
from worker.overrides.answers import Answers
from worker.overrides.register import OverrideRegister
from worker.process.metrics import Metrics

log = structlog.get_logger()

_POLL_S: Final = 0.1
_SHOW_EVERY_S: Final = 1.0
_PAUSE_S: Final = 1.0
"""After a fault."""
_CLOSE_S: Final = 5.0


class OverrideFollower:
    """The thread.

    Args:
        topic: The overrides topic.
        fetcher: Fetches input records.
        register: Takes every record.
        answers: Takes what may need a verdict of its own.
        metrics: Where all this is shown.
    """

    def __init__(
        self,
        topic: TopicFollower,
        fetcher: RecordFetcher,
        register: OverrideRegister,
        answers: Answers,
        metrics: Metrics,
    ) -> None:
        self._topic = topic
        self._fetcher = fetcher
        self._register = register
        self._answers = answers
        self._metrics = metrics
        self._owns: Callable[[Partition], bool] = lambda _: False
        self._closing = threading.Event()
        self._shown_at = 0.0
        self._newest_ms = 0
        self._thread = threading.Thread(target=self._run, name="overrides", daemon=True)

    def read_whole(self) -> None:
        """Read what the topic holds now.

        Raises:
            Fatal: the brokers refuse, or stay silent.
        """
        n_records = 0
        for records in self._topic.read_whole():
            n_records += len(records)
            self._take(records)
        # Only what is still in force may be due.
        for override in self._register:
            self._answers.offer(override)
        self._show()
        log.info("overrides_read", n_records=n_records, n_in_force=self._register.n_in_force(datetime.now(UTC)))

    def start(self, owns: Callable[[Partition], bool]) -> None:
        """Follow the topic from here on.

        Args:
            owns: Says whether an input partition is this worker's; called in the thread.
        """
        self._owns = owns
        self._thread.start()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._turn()
            except Exception:
                # Without this thread no decision of a person would count any more, and nothing else would show it.
                log.exception("overrides_not_followed")
                self._closing.wait(_PAUSE_S)

    def _turn(self) -> None:
        for override in self._take(self._topic.poll(_POLL_S)):
            self._answers.offer(override)
        self._answers.prepare(self._owns)
        if time.monotonic() - self._shown_at >= _SHOW_EVERY_S:
            self._show()

    def _take(self, records: list[ScannedRecord]) -> list[Override]:
        taken = [override for record in records if (override := self._register.take(record)) is not None]
        if records:
            newest_ms = max(record.timestamp_ms for record in records)
            self._newest_ms = max(self._newest_ms, newest_ms)
        return taken

    def _show(self) -> None:
        self._shown_at = time.monotonic()
        self._metrics.overrides_in_force.set(self._register.n_in_force(datetime.now(UTC)))
        self._metrics.overrides_due.set(self._answers.n_due(self._owns))
        self._metrics.overrides_lag_records.set(self._topic.lag_records())
        self._metrics.overrides_last_record_s.set(self._newest_ms / 1_000)
        self._metrics.overrides_last_read_s.set(time.time())

    def close(self) -> None:
        """Stop following."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)
        if not self._thread.is_alive():
            self._topic.close()
            self._fetcher.close()
