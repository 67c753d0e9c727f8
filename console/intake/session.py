"""One reading of the topics, from the offsets that the database has to whatever ends it."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

import structlog
from sqlalchemy import Connection

from console.intake.policies import PolicyCodes
from console.intake.topics import WHOLE, Kind, starts
from console.intake.writing import Writer, Written
from console.review.arriving import hour_of
from console.review.rates import DayRates
from console.settings.console import ConsoleSettings
from console.store.counting import HOUR_MS, Counted, add_counts
from console.store.erasing import HashesOf
from console.store.leases import take
from console.store.offsets import OffsetMoved, move, offsets_of
from console.store.pruning import prune
from console.store.store import Store, StoreRefused
from worker.kafka.partition_range import Partition
from worker.kafka.places_follower import PlacesFollower
from worker.kafka.topic_scan import ScannedRecord

log = structlog.get_logger()

_WAIT_S: Final = 0.25
"""Longest wait for a record: an item shows so soon at the latest after its batch is committed."""
_LOOK_AGAIN_MS: Final = 60_000
"""How often topics are asked whether they have more partitions."""
_MOST_NAMED: Final = 5

Lease = tuple[str, str, int]
"""Name, holder, milliseconds."""


class Session:
    """Reads and writes.

    Args:
        store: The database.
        follower: Reads the topics.
        policies: Knows policies.
        topics: What to read.
        settings: The console's.
        hashes_of: Keyed hashes of a chat_id.
        lease: Renewed with each transaction.
    """

    def __init__(
        self,
        store: Store,
        follower: PlacesFollower,
        policies: PolicyCodes,
        *,
        topics: Mapping[str, Kind],
        settings: ConsoleSettings,
        hashes_of: HashesOf,
        lease: Lease,
    ) -> None:
        self._store = store
        self._follower = follower
        self._policies = policies
        self._topics = topics
        self._settings = settings
        self._lease = lease
        rates = DayRates(settings.review.sample_per_stratum)
        self._writer = Writer(topics, settings.review, policies.of, hashes_of, rates)
        self._stored: dict[Partition, int] = {}
        self._renewed_ms = 0
        self._looked_ms = 0
        self._pruned_ms = 0
        self.read_ms: int | None = None
        """When something was last written."""

    def begin(self, now_ms: int) -> None:
        """Find where each partition goes on, and write where those begin that were never read.

        Raises:
            Degraded, Fatal: the brokers do not answer, or refuse.
            StoreAway: the database does not answer.
            OffsetMoved: another console reads.
        """
        ranges = self._follower.limits(self._topics)
        young_ms = now_ms - self._settings.pipeline.live_minutes * 60_000
        partial = [place for place in ranges if self._topics[place[0]] not in WHOLE]
        since = self._follower.first_since(partial, young_ms)
        self._policies.read()
        lost: Counter[Counted] = Counter()
        with self._store.writing() as connection:
            self._renew(connection, now_ms)
            found = dict(starts(self._topics, ranges, offsets_of(connection, self._topics), since))
            for (topic, partition), start in found.items():
                if start.n_lost:
                    lost[Counted(hour_of(now_ms), "lost", "", self._topics[topic].value)] += start.n_lost
                    log.error(
                        "intake_offsets_lost", topic=topic, partition=partition, next_offset=start.before,
                        begins_at=start.offset, n_lost=start.n_lost,
                    )  # fmt: skip
            add_counts(connection, lost)
            move(connection, {place: (s.before, s.offset) for place, s in found.items() if s.before != s.offset})
        self._stored = {place: start.offset for place, start in found.items()}
        self._looked_ms = now_ms
        self._follower.begin(self._stored)

    def step(self, now_ms: int) -> bool:
        """Read what is there, waiting a moment for it, and write it; say whether to go on.

        Raises:
            Degraded, Fatal, StoreAway, OffsetMoved: as `begin`; what was read is read again then.
        """
        records = self._follower.poll(_WAIT_S)
        self._policies.refresh()
        moved = {
            place: (self._stored[place], after)
            for place, after in self._follower.next_offsets.items()
            if after != self._stored[place]
        }
        if records or moved:
            self._write(records, moved, now_ms)
        elif now_ms - self._renewed_ms > self._lease[2] // 3:
            with self._store.writing() as connection:
                self._renew(connection, now_ms)
        if now_ms - self._pruned_ms > HOUR_MS:
            self._prune(now_ms)
        return not self._has_grown(now_ms)

    def _write(
        self, records: list[ScannedRecord], moved: Mapping[Partition, tuple[int | None, int]], now_ms: int
    ) -> None:
        try:
            with self._store.writing() as connection:
                self._renew(connection, now_ms)
                move(connection, moved)
                written = self._writer.write(connection, records, now_ms=now_ms)
        except StoreRefused:
            with self._store.writing() as connection:
                self._renew(connection, now_ms)
                move(connection, moved)
                written = self._writer.write_singly(connection, records, now_ms=now_ms)
        self._stored |= {place: after for place, (_, after) in moved.items()}
        if records:
            self.read_ms = now_ms
            _log(records, written)
        if written.n_erased_items:
            self._store.drop_remains()

    def _renew(self, connection: Connection, now_ms: int) -> None:
        name, holder, for_ms = self._lease
        if not take(connection, name, holder, for_ms=for_ms):
            raise OffsetMoved("the lease is another console's")
        self._renewed_ms = now_ms

    def _prune(self, now_ms: int) -> None:
        n_deleted = prune(self._store, keep_days=self._settings.store.keep_days, now_ms=now_ms)
        self._store.drop_remains()
        self._pruned_ms = now_ms
        if any(n_deleted.values()):
            log.info("database_pruned", **{f"n_{table}": n for table, n in n_deleted.items()})

    def _has_grown(self, now_ms: int) -> bool:
        """Say whether a topic has partitions that are not read yet."""
        if now_ms - self._looked_ms < _LOOK_AGAIN_MS or self._follower.is_doubtful:
            return False
        self._looked_ms = now_ms
        return bool(self._follower.limits(self._topics).keys() - self._stored.keys())


def _log(records: list[ScannedRecord], written: Written) -> None:
    for event, left_out in (("records_malformed", written.malformed), ("records_refused", written.refused)):
        if left_out:
            places = [(record.topic, record.partition, record.offset) for record in left_out[:_MOST_NAMED]]
            log.warning(event, n_records=len(left_out), first=places)
    taken = written.taken
    if any(taken) or written.n_answered or written.n_erased_items:
        log.info(
            "intake_written", n_records=len(records), n_new=taken.n_new, n_refreshed=taken.n_refreshed,
            n_left_out_erased=taken.n_erased, n_answered=written.n_answered, n_erased=written.n_erased_items,
        )  # fmt: skip
