"""What waits unread in the assigned partitions: the lag, and records that are there and cannot be read.

Where a partition ends is asked on a timer, from the assignment on: a worker that gets no records measures nothing
after its batches. Records cannot be read while a transaction before them is open, where the client fails on them, or
where it brings nothing though all is well.

Invariant: a partition counts as unreadable only while its reading stands still, and never because the worker is busy.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

import structlog

from worker.kafka.partition_ends import Answer, AskEnds, Ends
from worker.kafka.partition_range import Partition
from worker.process.metrics import Metrics
from worker.process.seldom import Seldom

log = structlog.get_logger()

_EVERY_S: Final = 5.0
"""How often the brokers are asked."""
_SAID_EVERY_S: Final = 60.0
_HUNG: Final = "a transaction that began here or before has not ended"
_HUNG_REMEDY: Final = (
    "find its producer with `kafka-transactions.sh find-hanging`; where it is gone, end the transaction with `abort`"
)
_FAILS_REMEDY: Final = (
    "every reader fails on the batch at this offset; try another copy of the partition (move its leader), or delete up "
    "to behind the batch (`kafka-delete-records.sh`) and write its records again; see the runbook"
)
_SILENT: Final = "the brokers have it and the client brings nothing"
_SILENT_REMEDY: Final = "look at the partition's leader and at this worker's earlier log lines; restart the worker"


@dataclass
class _Reading:
    """How far one partition is read."""

    front: int
    """The next offset that the client will hand out, or fail on."""
    high: int = -1
    seen: int = -1
    """The front at the last look."""
    failure: str = ""
    """What the client said of this front."""
    since_s: float | None = None
    """Since when there is something here that cannot be read."""


class Unread:
    """Follows the reading of the assigned partitions. Used by the thread that polls.

    Args:
        metrics: Where lag and unreadable partitions are shown.
        unreadable_after_s: How long the reading must stand still for a warning.
        ask: Asks the brokers; None leaves lag to `lag` alone.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        unreadable_after_s: float,
        ask: AskEnds | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics
        self._unreadable_after_s = unreadable_after_s
        self._every_s = min(_EVERY_S, unreadable_after_s / 2)
        self._ask = ask
        self._clock = clock
        self._asked_at_s = float("-inf")
        self._answer: Answer | None = None
        self._idle_since_s: float | None = None
        self._readings: dict[Partition, _Reading] = {}
        self._seldom = Seldom(_SAID_EVERY_S, clock)

    def front(self, place: Partition) -> int | None:
        """Return the next offset of a partition; None where it is not assigned."""
        reading = self._readings.get(place)
        return None if reading is None else reading.front

    def assigned(self, place: Partition, front: int) -> None:
        """Take that a partition is read from an offset on, for the first time or again."""
        self._readings[place] = _Reading(front)

    def released(self, place: Partition) -> None:
        """Take that a partition is somebody else's."""
        if self._readings.pop(place, None) is not None:
            self._metrics.unreadable_s.remove(place[0], str(place[1]))

    def moved(self, place: Partition, front: int) -> None:
        """Take that a partition was read up to an offset."""
        reading = self._readings.get(place)
        if reading is not None and front != reading.front:
            reading.front, reading.failure = front, ""

    def failed(self, place: Partition, told: str) -> bool:
        """Take that the client fails on the next offset of a partition; say whether it is one that is assigned."""
        reading = self._readings.get(place)
        if reading is None:
            return False
        reading.failure = told
        if reading.since_s is None:
            reading.since_s = self._clock()
        if self._seldom.due(place):
            self._warn(place, reading, cause=told, remedy=_FAILS_REMEDY)
        return True

    def look(self, *, idle: bool, paused: Collection[Partition] = ()) -> None:
        """Ask for the ends, or take them, where it is time to; after every poll.

        Args:
            idle: Whether the poll has brought no record.
            paused: Partitions that are not read on purpose.
        """
        now = self._clock()
        if not idle:
            self._idle_since_s = None
        elif self._idle_since_s is None:
            self._idle_since_s = now
        if self._ask is None or not self._readings:
            return
        if self._answer is None:
            if now - self._asked_at_s >= self._every_s:
                self._asked_at_s, self._answer = now, self._ask(list(self._readings))
            return
        found = self._answer()
        if found is None:
            return
        self._answer = None
        for place, ends in found.items():
            reading = self._readings.get(place)
            if reading is not None:
                reading.high = ends.high
                self._show(place, reading)
                self._judge(place, reading, ends, now, is_paused=place in paused)

    def lag(self, place: Partition, high: int) -> int:
        """Return the offsets that wait in a partition, and show them.

        Args:
            place: An assigned partition.
            high: Where it ends for all that the client knows; negative where it knows nothing yet.
        """
        reading = self._readings[place]
        reading.high = max(reading.high, high)
        return self._show(place, reading)

    def _show(self, place: Partition, reading: _Reading) -> int:
        lag = max(0, reading.high - reading.front)
        if reading.high >= 0:
            self._metrics.lag_records.labels(place[0], str(place[1])).set(lag)
            self._metrics.lag_age.waiting(*place, lag)
        return lag

    def _judge(self, place: Partition, reading: _Reading, ends: Ends, now: float, *, is_paused: bool) -> None:
        stands, reading.seen = reading.seen == reading.front, reading.front
        cause, remedy = "", ""
        since_s: float | None = None
        if is_paused or ends.high <= reading.front:
            pass
        elif reading.failure:
            cause, remedy, since_s = reading.failure, _FAILS_REMEDY, reading.since_s
        else:
            since_s = reading.since_s if stands and reading.since_s is not None else now
            if ends.stable <= reading.front:
                cause, remedy = _HUNG, _HUNG_REMEDY
            elif self._idle_since_s is not None:
                # Before that, its records may have waited in the client behind those of others.
                cause, remedy, since_s = _SILENT, _SILENT_REMEDY, max(since_s, self._idle_since_s)
            else:
                since_s = None
        reading.since_s = since_s
        waited_s = 0.0 if reading.since_s is None else now - reading.since_s
        self._metrics.unreadable_s.labels(place[0], str(place[1])).set(waited_s)
        if not cause:
            self._seldom.forget(place)
        elif waited_s >= self._unreadable_after_s and self._seldom.due(place):
            self._warn(place, reading, cause=cause, remedy=remedy)

    def _warn(self, place: Partition, reading: _Reading, *, cause: str, remedy: str) -> None:
        log.warning(
            "partition_unreadable",
            place=f"{place[0]}[{place[1]}]@{reading.front}",
            n_waiting=max(0, reading.high - reading.front) if reading.high >= 0 else None,
            waited_s=round(0.0 if reading.since_s is None else self._clock() - reading.since_s, 1),
            cause=cause,
            remedy=remedy,
        )
