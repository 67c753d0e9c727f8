"""A consumer of the twin: what confluent_kafka's Consumer shows to the worker.

Rebalances are cooperative, and their callbacks are served by `poll`, `consume` and `close`.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    OFFSET_INVALID,
    KafkaError,
    Message,
    TopicPartition,
)

from tests.broker_twin.errors import failure
from tests.broker_twin.fetch import Fetch
from tests.broker_twin.group import GroupMetadata
from tests.broker_twin.partition_log import Partition

if TYPE_CHECKING:
    from tests.broker_twin.broker import TwinBroker

_EMPTY_POLL_S = 0.001
"""How long a poll waits that brings nothing: long enough for a commit in another thread to go on."""

Callback = Callable[[Any, list[TopicPartition]], None]


class TwinConsumer:
    """A consumer.

    Args:
        broker: The broker.
        config: librdkafka properties.
    """

    def __init__(self, broker: "TwinBroker", config: Mapping[str, Any]) -> None:
        self._broker = broker
        self._config = config
        self._committed_only = config.get("isolation.level", "read_committed") == "read_committed"
        with broker.lock:
            self._group = broker.group(config["group.id"])
        self._topics: tuple[str, ...] = ()
        self._callbacks: dict[str, Callback | None] = {}
        self._member_id = ""
        self._max_poll_interval_s = config.get("max.poll.interval.ms", 300_000) / 1_000
        self._polled_at = time.monotonic()
        self._leaving = False
        self._fetches: dict[Partition, Fetch] = {}

    def subscribe(
        self,
        topics: Sequence[str],
        on_assign: Callback | None = None,
        on_revoke: Callback | None = None,
        on_lost: Callback | None = None,
    ) -> None:
        """Join the group with the next poll."""
        self._topics = tuple(topics)
        self._callbacks = {"assign": on_assign, "revoke": on_revoke, "lost": on_lost or on_revoke}

    def unsubscribe(self) -> None:
        """Leave the group with the next poll."""
        self._topics, self._leaving = (), True

    def poll(self, timeout: float = -1) -> Message | None:
        """Serve the callbacks and return the next message, or the end of a partition."""
        found = self.consume(1, timeout)
        return found[0] if found else None

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Message]:
        """Serve the callbacks and return the next messages, those of each partition in order."""
        self._serve_group()
        found: list[Message] = []
        with self._broker.lock:
            for fetch in [*self._fetches.values()]:
                found += fetch.take(num_messages - len(found), committed_only=self._committed_only)
            # The next turn begins with the next partition, so that none of them starves.
            if found and self._fetches:
                first = next(iter(self._fetches))
                self._fetches[first] = self._fetches.pop(first)
        if not found and timeout:
            time.sleep(_EMPTY_POLL_S)
        return found

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch these partitions and no others."""
        self._fetches.clear()
        self.incremental_assign(partitions)

    def incremental_assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch these partitions too."""
        with self._broker.lock:
            for partition in partitions:
                self._fetches[partition.topic, partition.partition] = self._fetch_from(partition)

    def incremental_unassign(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch these partitions no longer."""
        for partition in partitions:
            self._fetches.pop((partition.topic, partition.partition), None)

    def seek(self, partition: TopicPartition) -> None:
        """Go on fetching at another offset."""
        if (partition.topic, partition.partition) not in self._fetches:
            raise failure(KafkaError._UNKNOWN_PARTITION, "the partition is not fetched")
        self.incremental_assign([partition])

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch these no further for now."""
        self._set_paused(partitions, is_paused=True)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch these again."""
        self._set_paused(partitions, is_paused=False)

    def _set_paused(self, partitions: Iterable[TopicPartition], *, is_paused: bool) -> None:
        for partition in partitions:
            self._fetches[partition.topic, partition.partition].paused = is_paused

    def position(self, partitions: Iterable[TopicPartition]) -> list[TopicPartition]:
        """Return the offsets behind the last messages handed out."""
        positions = {place: fetch.position for place, fetch in self._fetches.items()}
        return [
            TopicPartition(p.topic, p.partition, positions.get((p.topic, p.partition), OFFSET_INVALID))
            for p in partitions
        ]

    def get_watermark_offsets(
        self,
        partition: TopicPartition,
        timeout: float = -1,  # noqa: ARG002
        cached: bool = False,
    ) -> tuple[int, int]:
        """Return the first offset and the end: asked of the broker, the end that this isolation level sees."""
        with self._broker.lock:
            log = self._broker.log((partition.topic, partition.partition))
            if log is None:
                raise failure(KafkaError._UNKNOWN_PARTITION, "no such partition")
            return log.low, log.stable if self._committed_only and not cached else log.high

    def offsets_for_times(self, partitions: Iterable[TopicPartition], timeout: float = -1) -> list[TopicPartition]:  # noqa: ARG002
        """Return the first offset of each partition whose record is not older than the time in place of the offset."""
        found = []
        with self._broker.lock:
            for asked in partitions:
                place, since_ms = (asked.topic, asked.partition), asked.offset
                if (log := self._broker.log(place)) is None:
                    raise failure(KafkaError._UNKNOWN_PARTITION, "no such partition")
                records = log.read(log.low, committed_only=False)
                offset = next((at for at, entry in records if entry.timestamp_ms >= since_ms), OFFSET_END)
                found.append(TopicPartition(*place, offset))
        return found

    def list_topics(self, topic: str, timeout: float = -1) -> Any:  # noqa: ARG002
        """Return the metadata of a topic."""
        with self._broker.lock:
            places = self._broker.places_of(topic)
        error = None if places else KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
        partitions = {partition: SimpleNamespace(id=partition) for _, partition in places}
        return SimpleNamespace(topics={topic: SimpleNamespace(error=error, partitions=partitions)})

    def committed(self, partitions: Iterable[TopicPartition], timeout: float = -1) -> list[TopicPartition]:  # noqa: ARG002
        """Return what the group has committed, with the text beside it."""
        with self._broker.lock:
            kept = self._group.committed
            return [
                TopicPartition(p.topic, p.partition, *kept.get((p.topic, p.partition), (OFFSET_INVALID,)))
                for p in partitions
            ]

    def commit(self, *, offsets: Sequence[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        """Commit offsets in the name of this member."""
        assert not asynchronous
        with self._broker.lock:
            if (code := self._group.refusal(self.consumer_group_metadata(), transactional=False)) is not None:
                raise failure(code, "the group has moved on")
            self._group.committed.update({(p.topic, p.partition): (p.offset, p.metadata or "") for p in offsets})
        return list(offsets)

    def consumer_group_metadata(self) -> GroupMetadata:
        """Return what fences a transaction of this member."""
        with self._broker.lock:
            return GroupMetadata(self._config["group.id"], self.memberid(), self._group.generation)

    def memberid(self) -> str:
        """Return the member id; empty where the group has no such member."""
        with self._broker.lock:
            return self._member_id if self._member_id in self._group.members else ""

    def close(self) -> None:
        """Take what was about to be given, give everything back and leave the group."""
        self._serve_group()
        self.unsubscribe()
        self._serve_group()
        self._fetches.clear()

    def _serve_group(self) -> None:
        """Run the callbacks that are due; without the lock, since they wait for commits in other threads."""
        if self._leaving:
            self._leaving = False
            self._give_up()
        if not self._topics:
            return
        now = time.monotonic()
        is_late = now - self._polled_at > self._max_poll_interval_s
        self._polled_at = now
        with self._broker.lock:
            is_member = self._group.polled(self._member_id)
        if not is_member:
            # A client that was late has left by itself; a member that the coordinator drops has not.
            if self._fetches:
                self._call("revoke" if is_late else "lost", set(self._fetches))
            self._join()
        with self._broker.lock:
            revoked = self._group.to_revoke(self._member_id)
        if revoked:
            self._call("revoke", revoked)
            with self._broker.lock:
                self._group.members[self._member_id].owned -= revoked
        self._take()

    def _join(self) -> None:
        with self._broker.lock:
            self._member_id = self._group.join(self._topics, max_poll_interval_s=self._max_poll_interval_s)
            nothing_yet = not self._group.to_assign(self._member_id)
        if nothing_yet:
            self._call("assign", set())

    def _take(self) -> None:
        with self._broker.lock:
            added = self._group.to_assign(self._member_id)
            self._group.members[self._member_id].owned |= added
        if added:
            self._call("assign", added)

    def _give_up(self) -> None:
        if not self._member_id:
            return
        if self._fetches:
            self._call("revoke", set(self._fetches))
        with self._broker.lock:
            self._group.leave(self._member_id)
        self._member_id = ""

    def _call(self, kind: str, places: set[Partition]) -> None:
        """Run a callback; where it does not see to the partitions itself, the client does."""
        partitions = [TopicPartition(*place) for place in sorted(places)]
        if (callback := self._callbacks[kind]) is not None:
            callback(self, partitions)
        if kind == "assign":
            self.incremental_assign(p for p in partitions if (p.topic, p.partition) not in self._fetches)
        else:
            self.incremental_unassign(partitions)

    def _fetch_from(self, start: TopicPartition) -> Fetch:
        place, offset = (start.topic, start.partition), start.offset
        log = self._broker.log(place)
        if log is None:
            raise failure(KafkaError._UNKNOWN_PARTITION, "no such partition")
        reset = str(self._config.get("auto.offset.reset", "latest"))
        if offset not in {OFFSET_BEGINNING, OFFSET_END} and offset < 0:
            offset, _ = self._group.committed.get(place, (OFFSET_INVALID, ""))
        return Fetch(place, log, offset, reset=reset, reports_end=bool(self._config.get("enable.partition.eof")))
