"""Lag in seconds: how old the oldest record is that was read and has no committed outcome yet.

Computed when it is asked for, so that it grows while the worker is stuck in the middle of a batch. Between two batches,
while records still wait on the broker, the newest record read stands in for them, or the last look at which nothing
waited: they are at most as old.

A timestamp that can be no time in milliseconds counts as none: it would say a lag of 56 years.

Invariant: what a partition's figure rests on is forgotten when the partition is taken away.
"""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from worker.record import Record

log = structlog.get_logger()


@dataclass(frozen=True)
class _Read:
    """Records of one partition read in one batch."""

    first_offset: int
    last_offset: int
    first_ms: int
    """Of the first record that has a timestamp; 0 where none has."""


@dataclass
class _Partition:
    reads: deque[_Read] = field(default_factory=deque)
    newest_ms: int = 0
    n_waiting: int = 0
    none_waited_ms: float = 0.0
    """When nothing was known to wait for the last time; what waits now has come since."""


class LagAge(Collector):
    """The metric `moderation_lag_seconds`; the loop, the commit thread and the health server call it.

    Args:
        now_s: Wall clock; record timestamps are wall-clock times.
        on_implausible: Told of so many records whose timestamp can be no time in milliseconds.
    """

    def __init__(
        self,
        now_s: Callable[[], float] = time.time,
        *,
        on_implausible: Callable[[int], None] = lambda _n: None,
    ) -> None:
        self._now_s = now_s
        self._on_implausible = on_implausible
        self._has_warned = False
        self._lock = threading.Lock()
        self._partitions: dict[tuple[str, int], _Partition] = {}

    def read(self, records: Iterable[Record]) -> None:
        """Note what was read; what is read again after a rewind takes its earlier note's place."""
        by_partition: defaultdict[tuple[str, int], list[Record]] = defaultdict(list)
        for record in records:
            by_partition[record.topic, record.partition].append(record)
        with self._lock:
            for place, batch in by_partition.items():
                first, last = batch[0], batch[-1]
                times = [written_ms for record in batch if (written_ms := record.written_ms) is not None]
                if len(times) < len(batch):
                    self._without_time(batch)
                partition = self._partitions.setdefault(place, _Partition())
                while partition.reads and partition.reads[-1].last_offset >= first.offset:
                    partition.reads.pop()
                partition.reads.append(_Read(first.offset, last.offset, times[0] if times else 0))
                partition.newest_ms = times[-1] if times else 0

    def _without_time(self, batch: list[Record]) -> None:
        """Count the timestamps that are none; a record that says it has none is no fault."""
        implausible = [record for record in batch if record.written_ms is None and record.timestamp_ms > 0]
        if not implausible:
            return
        self._on_implausible(len(implausible))
        if not self._has_warned:
            self._has_warned = True
            one = implausible[0]
            log.warning(
                "record_timestamp_implausible",
                topic=one.topic,
                partition=one.partition,
                offset=one.offset,
                timestamp_ms=one.timestamp_ms,
                remedy="have the producer set record timestamps in milliseconds since 1970, or none; until then these "
                "records count for no lag and no latency",
            )

    def committed(self, records: Iterable[Record]) -> None:
        """Note that these records have their outcomes."""
        last_offsets: dict[tuple[str, int], int] = {}
        for record in records:
            place = (record.topic, record.partition)
            last_offsets[place] = max(record.offset, last_offsets.get(place, -1))
        with self._lock:
            for place, offset in last_offsets.items():
                partition = self._partitions.get(place)
                while partition and partition.reads and partition.reads[0].last_offset <= offset:
                    partition.reads.popleft()

    def assigned(self, topic: str, partition: int) -> None:
        """Take that a partition is this worker's, before anything of it is read."""
        with self._lock:
            self._partitions.setdefault((topic, partition), _Partition())

    def waiting(self, topic: str, partition: int, n_records: int) -> None:
        """Note how many records of a partition have not been read."""
        now_ms = self._now_s() * 1_000
        with self._lock:
            one = self._partitions.get((topic, partition))
            if one is None:
                return
            one.n_waiting = n_records
            # Of a partition that was never read nothing is known before the first look.
            if not n_records or not (one.none_waited_ms or one.newest_ms):
                one.none_waited_ms = now_ms

    def released(self, topic: str, partition: int) -> None:
        """Forget a partition: its lag is its next owner's."""
        with self._lock:
            self._partitions.pop((topic, partition), None)

    def seconds(self) -> dict[tuple[str, int], float]:
        """Return the lag of every partition that was read from or looked at; 0 where nothing is pending."""
        now_ms = self._now_s() * 1_000
        with self._lock:
            return {place: _age_s(partition, now_ms) for place, partition in self._partitions.items()}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metric; called by the registry."""
        family = GaugeMetricFamily(
            "moderation_lag_seconds",
            "Age of the oldest record without a committed outcome.",
            labels=["topic", "partition"],
        )
        for (topic, partition), seconds in sorted(self.seconds().items()):
            family.add_metric([topic, str(partition)], seconds)
        yield family


def _age_s(partition: _Partition, now_ms: float) -> float:
    since_ms: float
    if partition.reads:
        since_ms = partition.reads[0].first_ms
    elif partition.n_waiting:
        since_ms = max(partition.newest_ms, partition.none_waited_ms)
    else:
        return 0.0
    # A record without a timestamp says nothing about its age.
    return max(0.0, now_ms - since_ms) / 1_000 if since_ms > 0 else 0.0
