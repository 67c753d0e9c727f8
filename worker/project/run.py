"""Merge what the output topics say of each chat, and write the newest into Redis.

Two passes, so that Redis never shows an outcome that a later one of the topics supersedes, and memory holds no values:
the first finds each chat's newest outcome, the second reads and writes the verdicts among them. Markers go first.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import structlog

from schemas import Source
from schemas.marker import TOMBSTONE
from worker.cache.entries import MAX_VALUE_BYTES, Entry, marker_entry
from worker.cache.outcome_order import Outcome
from worker.cache.owed_entries import owed_entry
from worker.cache.verdict_cache import RedisVerdictCache
from worker.errors import Degraded
from worker.kafka.config import consumer_config
from worker.kafka.partition_range import PartitionRange
from worker.kafka.topic_scan import ScannedRecord, scan
from worker.process.metrics import Metrics
from worker.project.account import Projected
from worker.project.merge import NewestOutcomes
from worker.project.read import UnreadableOutcome, outcome_of_dead_letter, outcome_of_verdict
from worker.settings.redis import OnRejected
from worker.settings.worker import WorkerSettings

log = structlog.get_logger()

Progressed = Callable[[int], None]
"""Told of so many more offsets behind the projection."""

_WRITTEN_AT_ONCE: Final = 500
_REDIS_AWAY_S: Final = 30.0
"""How long Redis may take no write before the projection gives up."""
_RETRY_S: Final = 0.5


class Stopped(Exception):  # noqa: N818  the name says what happened
    """The lifecycle said stop."""


class Projection:
    """One run.

    Args:
        settings: Where Kafka is, and how long a verdict stays.
        cache: Redis.
        metrics: Where the cache counts.
        account: Counts of the run, with its start.
        stop: Waits for so many seconds; True where the run must end.
        progressed: Shows how far it is.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        cache: RedisVerdictCache,
        metrics: Metrics,
        account: Projected,
        *,
        stop: Callable[[float], bool],
        progressed: Progressed,
    ) -> None:
        self._settings = settings
        self._cache = cache
        self._metrics = metrics
        self._account = account
        self._stop = stop
        self._progressed = progressed
        self._newest = NewestOutcomes()

    def run(self, ranges: Sequence[PartitionRange]) -> None:
        """Read the ranges and write what they say.

        Raises:
            Fatal: Kafka cannot be read.
            Degraded: Redis takes no writes.
            Stopped: the run must end.
        """
        verdict_topic = self._settings.kafka.verdict_topic
        for records in self._scan(ranges):
            for record in records:
                self._take(record, is_verdict=record.topic == verdict_topic)
        self._account.n_chats = len(self._newest)
        self._write(filter(None, (self._marker(chat_id, one) for chat_id, one in self._newest.markers())))
        verdicts = self._newest.verdicts()
        for records in self._scan([one for one in ranges if one.topic == verdict_topic]):
            found = ((record, *wanted) for record in records if (wanted := verdicts.get(record.place)))
            self._write(filter(None, (self._verdict(*one) for one in found)))
        self._account.n_written = self._counted("written")
        self._account.n_newer_there = self._counted("stale")

    def _scan(self, ranges: Sequence[PartitionRange]) -> Iterator[list[ScannedRecord]]:
        kafka = self._settings.kafka
        # Assigned by hand it joins no group; the name is there for the brokers' access lists.
        config: dict[str, Any] = consumer_config(kafka) | {"group.id": f"{kafka.group_id}.project"}
        config.pop("group.instance.id", None)
        for records in scan(config, ranges, timeout_s=kafka.unreachable_exit_s):
            if self._stop(0):
                raise Stopped
            yield records
            self._progressed(len(records))

    def _take(self, record: ScannedRecord, *, is_verdict: bool) -> None:
        limits, value_format = self._settings.codec, self._settings.kafka.value_format
        if is_verdict:
            self._account.n_verdicts_read += 1
        else:
            self._account.n_dead_letters_read += 1
        try:
            found: tuple[str, Outcome] | None
            if is_verdict:
                found = outcome_of_verdict(record, limits)
            else:
                found = outcome_of_dead_letter(record, limits, value_format)
        except UnreadableOutcome as unreadable:
            self._account.n_unreadable += 1
            if unreadable.chat_id is not None:
                self._newest.spoil(unreadable.chat_id)
            return
        keeps = self._settings.redis.on_rejected is OnRejected.KEEP
        if found is not None and not (keeps and found[1].rejected not in {None, TOMBSTONE}):
            self._newest.offer(*found)

    def _marker(self, chat_id: str, outcome: Outcome) -> Entry | None:
        return self._lasting(marker_entry(chat_id, _source(outcome), outcome.rejected or ""), outcome)

    def _verdict(self, record: ScannedRecord, chat_id: str, outcome: Outcome) -> Entry | None:
        value, source = record.value or b"", _source(outcome)
        if outcome.timestamp_ms < self._account.from_ms:
            # Judged late, by a replay say: what became of the chat's later records may lie before the time span.
            entry = owed_entry(chat_id, source)
        elif len(value) > MAX_VALUE_BYTES:
            entry = marker_entry(chat_id, source, "verdict_too_large")
        else:
            entry = Entry(chat_id, value, source)
        return self._lasting(entry, outcome)

    def _lasting(self, entry: Entry, outcome: Outcome) -> Entry | None:
        """Give an entry the time that it has left; None where that is over."""
        ttl_s = self._settings.redis.ttl_s - int(time.time() - outcome.published_ms / 1_000)
        if ttl_s <= 0:
            self._account.n_expired += 1
            return None
        self._account.n_markers += entry.rejected is not None
        return entry._replace(ttl_s=min(ttl_s, self._settings.redis.ttl_s))

    def _write(self, entries: Iterable[Entry]) -> None:
        waiting = iter(entries)
        while chunk := list(islice(waiting, _WRITTEN_AT_ONCE)):
            left = self._cache.put_many(chunk)
            deadline = time.monotonic() + _REDIS_AWAY_S
            while left:
                if time.monotonic() > deadline:
                    raise Degraded(
                        f"Redis has taken no write for {_REDIS_AWAY_S:.0f} s; expected one that takes writes; check it "
                        "and run again: what is written stays"
                    )
                if self._stop(_RETRY_S):
                    raise Stopped
                left = self._cache.put_many(left)

    def _counted(self, result: str) -> int:
        return int(self._metrics.registry.get_sample_value("moderation_cache_writes_total", {"result": result}) or 0)


def _source(outcome: Outcome) -> Source:
    return Source(
        topic=outcome.topic, partition=outcome.partition, offset=outcome.offset, timestamp_ms=outcome.timestamp_ms
    )
