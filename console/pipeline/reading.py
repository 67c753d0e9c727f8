"""Read the verdict topic in a thread, keep what was found for some minutes, and say how far it is.

One period is read at a time, and each reading ends: with the period, with its time, with the console, or with Kafka.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import structlog

from console.pipeline.errors import PipelineAway
from console.pipeline.yesterday import Collector, Found, PastVerdicts
from model import Bundle
from worker.errors import Fatal
from worker.errors import SettingsError as WorkerSettingsError
from worker.kafka.config import consumer_config
from worker.kafka.partition_range import PartitionRange
from worker.kafka.period import ranges_between
from worker.kafka.topic_scan import ScannedRecord, scan
from worker.settings.worker import WorkerSettings

LONGEST_S: Final = 180.0
"""A reading is stopped after it."""
_CLOSE_S: Final = 10.0
KEEPS_S: Final = 600.0
"""What was read counts for so long."""

log = structlog.get_logger()


class Period(NamedTuple):
    """From a time to another, milliseconds since 1970."""

    since_ms: int
    until_ms: int


@dataclass
class Reading:
    """One reading of the topic, whoever asks for it."""

    period: Period
    share: float = 0.0
    """Of the records, those that were read."""
    n_records: int = 0
    found: PastVerdicts | None = None
    """Once it is through."""
    error: str | None = None
    """Why there is none."""
    ended_s: float | None = None


Read = Callable[[Reading, threading.Event], PastVerdicts]
"""Reads a period, tells how far it is, and stops where it is told to; raises PipelineAway."""


class Readings:
    """The newest reading of each kind of period.

    Args:
        read: What reads.
        clock: Seconds.
    """

    def __init__(self, read: Read, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._readings: dict[str, Reading] = {}
        self._thread: threading.Thread | None = None
        self._ends = threading.Event()

    def of(self, name: str, period: Callable[[], Period], *, again: bool = False) -> Reading | None:
        """Return the reading of a period, under way or through; begins one where there is none that counts.

        Args:
            name: Names the kind of period.
            period: What it is by now; asked where a reading begins.
            again: Whether to begin one where the last one failed or is through.

        Returns:
            None: another one is under way, and this one begins after it, when it is asked for again.
        """
        with self._lock:
            known = self._readings.get(name)
            if known is not None and not self._is_outdated(known, again=again):
                return known
            if self._thread is not None and self._thread.is_alive():
                return None
            reading = self._readings[name] = Reading(period())
            self._thread = threading.Thread(target=self._run, args=(reading,), name="past-verdicts", daemon=True)
            self._thread.start()
            return reading

    def close(self) -> None:
        """Stop what reads."""
        self._ends.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_S)

    def _is_outdated(self, reading: Reading, *, again: bool) -> bool:
        if reading.ended_s is None:
            return False
        return again or (reading.error is None and self._clock() - reading.ended_s > KEEPS_S)

    def _run(self, reading: Reading) -> None:
        started_s = self._clock()
        try:
            reading.found = self._read(reading, self._ends)
        except PipelineAway as error:
            reading.error = str(error)
            log.warning("past_verdicts_not_read", error=str(error))
        reading.ended_s = self._clock()
        log.info("past_verdicts_read", n_records=reading.n_records, total_s=round(reading.ended_s - started_s, 1))


def reader_of(
    settings: WorkerSettings, bundle: Bundle, *, longest_s: float = LONGEST_S, n_most: int | None = None
) -> Read:
    """Return what reads the verdict topic.

    Args:
        settings: Where Kafka is.
        bundle: Whose verdicts count.
        longest_s: A reading is stopped after it.
        n_most: Chats that are kept at most; None: as many as memory is for.
    """

    def read(reading: Reading, ends: threading.Event) -> PastVerdicts:
        topic = settings.kafka.verdict_topic
        collector, progress, until_s = Collector(bundle, n_most), _Progress(), time.monotonic() + longest_s
        try:
            ranges = ranges_between(
                settings.kafka,
                topic,
                *reading.period,
                missing="; expected verdicts; check MODERATION_KAFKA__VERDICT_TOPIC",
            )
            progress.begin(ranges)
            # Assigned by hand it joins no group; the name is there for the brokers' access lists.
            config = consumer_config(settings.kafka) | {"group.id": f"{settings.kafka.group_id}.simulate"}
            config.pop("group.instance.id", None)
            for records in scan(config, ranges, timeout_s=settings.kafka.request_timeout_s):
                for record in records:
                    collector.add(Found(record.key, record.value, record.place, record.timestamp_ms))
                progress.count(records)
                reading.share, reading.n_records = progress.share, collector.found.n_records
                if time.monotonic() > until_s or ends.is_set():
                    collector.found.stopped_at = reading.share
                    break
        except (Fatal, WorkerSettingsError) as error:
            raise PipelineAway(str(error)) from error
        return collector.found

    return read


class _Progress:
    """How far ranges are read."""

    def __init__(self) -> None:
        self._next: dict[tuple[str, int], int] = {}
        self._left = self._all = 0

    def begin(self, ranges: tuple[PartitionRange, ...]) -> None:
        """Take the ranges that will be read."""
        self._next = {one.place: one.start for one in ranges}
        self._left = self._all = sum(one.n_offsets for one in ranges)

    def count(self, records: list[ScannedRecord]) -> None:
        """Take records that were read."""
        for record in records:
            place = (record.topic, record.partition)
            self._left -= record.offset + 1 - self._next[place]
            self._next[place] = record.offset + 1

    @property
    def share(self) -> float:
        """0..1, by offsets."""
        return 1.0 - self._left / self._all if self._all else 1.0
