"""The threads behind the board: one follows the topics, one asks for the lag."""

import threading
import time
from typing import Any, Final

import structlog

from console.pipeline.errors import PipelineAway
from console.pipeline.live.board import Board, Newest, Wanted
from console.pipeline.live.lag import GroupLag, look_at
from console.pipeline.live.records import letter_of, verdict_of
from console.pipeline.live.tail import TopicTail, admin_of, open_tail
from worker.kafka.client import KafkaAdmin, open_lookup_consumer
from worker.kafka.topic_scan import ScannedRecord
from worker.settings.kafka import KafkaSettings
from worker.settings.worker import WorkerSettings

log = structlog.get_logger()

SHOWN_MINUTES: Final = 60
"""What the page draws."""
_POLL_S: Final = 0.2
_RETRY_S: Final = 2.0
_LAG_EVERY_S: Final = 3.0
_PARTITIONS_EVERY_S: Final = 60.0
_REST_S: Final = 0.01
"""After each step of reading back: as long as the step, so that requests are answered meanwhile."""
_CLOSE_S: Final = 10.0


class Live:
    """What passes now. Readable at any time, also while Kafka is away.

    Args:
        settings: The worker's.
        minutes: How far back the topics are read.
    """

    def __init__(self, settings: WorkerSettings, minutes: int) -> None:
        # A person waits for less long than a worker does.
        self._kafka = settings.kafka.model_copy(
            update={"request_timeout_s": min(settings.kafka.request_timeout_s, 5.0)}
        )
        self._minutes = minutes
        self.board = Board(minutes)
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow_topics, name="live-topics", daemon=True),
            threading.Thread(target=self._follow_lag, name="live-lag", daemon=True),
        ]
        self._lag: GroupLag | None = None
        self._lag_at_ms: int | None = None
        self._reads_back = True
        self._is_cut = False
        self._fault: str | None = None

    def start(self) -> None:
        """Begin to follow."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop following, and wait until both threads have."""
        self._closing.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_CLOSE_S)

    def newest(self, cursors: str, wanted: Wanted) -> Newest:
        """Return verdicts; see `Board.newest`."""
        return self.board.newest(cursors, wanted)

    def figures(self) -> dict[str, Any]:
        """Return counts of the last hour, the lag, and how current both are."""
        lag = self._lag
        return self.board.figures(_now_ms(), min(SHOWN_MINUTES, self._minutes)) | {
            "lag": None if lag is None else lag.document() | {"at_ms": self._lag_at_ms},
            "reads_back": self._reads_back,
            "is_cut": self._is_cut,
            "fault": self._fault,
        }

    def _follow_topics(self) -> None:
        since_ms = _now_ms() - self._minutes * 60_000
        while not self._closing.is_set():
            try:
                admin = admin_of(self._kafka)
                with self._opened(admin, since_ms) as tail:
                    # Only now: the old one stays readable while nobody answers. What it has would be counted twice.
                    self.board, self._reads_back = Board(self._minutes), True
                    self._follow(tail, admin)
            except PipelineAway as error:
                self._failed(str(error))
            self._closing.wait(_RETRY_S)

    def _opened(self, admin: KafkaAdmin, since_ms: int) -> TopicTail:
        kafka = self._kafka
        optional = () if kafka.reviews_topic is None else (kafka.reviews_topic,)
        return open_tail(kafka, admin, self._needed(kafka), optional, since_ms=since_ms)

    @staticmethod
    def _needed(kafka: KafkaSettings) -> tuple[str, ...]:
        return kafka.verdict_topic, kafka.dead_letter_topic

    def _follow(self, tail: TopicTail, admin: KafkaAdmin) -> None:
        """Read until the end of the process: the client connects again by itself, and goes on where it was."""
        looked_at = time.monotonic()
        self._is_cut = tail.is_cut
        while not self._closing.is_set():
            records = tail.poll(_POLL_S)
            now_ms = _now_ms()
            for record in records:
                self._take(record, now_ms)
            self._fault = tail.fault
            if self._reads_back and not tail.is_back:
                self.board.caught_up()
                self._reads_back = False
                log.info("live_caught_up", since_ms=self.board.since_ms)
            if self._reads_back and records:
                self._closing.wait(_REST_S)
            if time.monotonic() - looked_at >= _PARTITIONS_EVERY_S:
                looked_at = time.monotonic()
                tail.look_for_partitions(self._needed(self._kafka), admin)

    def _take(self, record: ScannedRecord, now_ms: int) -> None:
        kafka = self._kafka
        if record.topic == kafka.dead_letter_topic:
            self.board.add_letter(letter_of(record), now_ms)
        elif record.topic == kafka.reviews_topic:
            if record.value is not None:
                self.board.add_review(record.timestamp_ms, now_ms)
        elif record.value is not None:
            verdict = verdict_of(record, self.board.share)
            if verdict is None:
                self.board.add_unreadable(record.timestamp_ms, now_ms)
            else:
                self.board.add_verdict(verdict, now_ms)

    def _follow_lag(self) -> None:
        admin: KafkaAdmin | None = None
        reader = open_lookup_consumer(self._kafka)
        while not self._closing.is_set():
            try:
                admin = admin or admin_of(self._kafka)
                # Serves what the client has to tell of its connections, which would pile up otherwise.
                admin.poll(0)
                self._lag = look_at(admin, reader, self._kafka)
                self._lag_at_ms = _now_ms()
            except PipelineAway as error:
                log.debug("lag_not_known", error=str(error))
            self._closing.wait(_LAG_EVERY_S)
        reader.close()

    def _failed(self, error: str) -> None:
        if error != self._fault:
            log.warning("live_topics_not_followed", error=error)
        self._fault = error


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
