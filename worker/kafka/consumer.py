"""The Kafka consumer: polls batches of records and follows the group's rebalances.

Invariants: the position of a partition after an assignment or a rewind is the group's committed offset; when a
partition is taken away, the commit in flight has ended before the group hears of it, so that the next owner starts
behind it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas import estimated_decoded_bytes
from worker.cache.owed_notes import OwedNotes
from worker.errors import BatchAborted, Fatal
from worker.kafka.assignment_check import AssignmentCheck
from worker.kafka.errors import JOIN_REFUSED, UNKNOWN_TOPIC, describe, fatal, is_fatal, kafka_error
from worker.kafka.forwarded_headers import ForwardedHeaders, forwarded_names, headers_of
from worker.kafka.lost_offsets import LostOffsets
from worker.kafka.partition_range import Partition
from worker.kafka.positions import Position, Positions
from worker.kafka.publisher import GroupMember
from worker.kafka.reachability import Reachability
from worker.kafka.retry import Passing, Waiting, look_for, unheard
from worker.kafka.start_offsets import start_offset
from worker.kafka.uncommitted import Uncommitted
from worker.kafka.unread import Unread
from worker.process.metrics import Metrics
from worker.process.seldom import Seldom
from worker.record import Record
from worker.settings.kafka import KafkaSettings

log = structlog.get_logger()

ReadHeaders = Callable[[], Sequence[tuple[str, bytes | None]] | None]
"""Returns the headers of a record, None where they are not UTF-8."""

_POLL_S = 0.2
"""Longest wait for a first record: bounds how late a stop signal is seen."""

_STEP_RECORDS: Final = 32
"""Records taken at once, however small those before them were: the next may all be of the largest size."""

_SAME_ERROR_EVERY_S: Final = 10.0


class AssignmentFollower(Protocol):
    """Told which partitions a member has, by the thread that polls; must not raise."""

    def assigned(self, partitions: Sequence[Partition], /) -> None:
        """Take that these are this member's now, besides those that it has."""

    def released(self, partitions: Sequence[Partition], /) -> None:
        """Take that these are somebody else's now, some never told of before, perhaps; no commit is in flight."""


class RecordConsumer:
    """A subscribed consumer.

    Args:
        consumer: A confluent_kafka Consumer with `worker.kafka.config.consumer_config`.
        settings: Kafka settings.
        metrics: Where rebalances, lag and lost records are counted.
        reachability: Told of every sign of life of the brokers.
        settle: Waits until the commit in flight has ended, whatever its result; called before partitions go away.
        topics: Topics to read; by default the input topic of the settings.
        assignment_check: Asked in each poll whether the group still knows what this member has.
        notes: Told what stands beside the committed offsets.
        unread: Follows the reading; by default it asks no broker, and the lag is what the client knows after a batch.
        waiting: Told while an answer of Kafka's is waited for.
        followers: Told of the partitions that come and go.
    """

    def __init__(
        self,
        consumer: Consumer,
        settings: KafkaSettings,
        metrics: Metrics,
        reachability: Reachability,
        settle: Callable[[], None],
        *,
        topics: Sequence[str] = (),
        assignment_check: AssignmentCheck | None = None,
        notes: OwedNotes | None = None,
        unread: Unread | None = None,
        waiting: Waiting = unheard,
        followers: Sequence[AssignmentFollower] = (),
    ) -> None:
        self.client = consumer
        self._followers = tuple(followers)
        self._uncommitted = Uncommitted()
        self._positions = Positions(consumer, settings, waiting)
        self._lost = LostOffsets(consumer, settings.lost_offsets, metrics)
        self._unread = unread or Unread(metrics, unreadable_after_s=settings.unreadable_after_s)
        self._join_refusal = Passing(JOIN_REFUSED)
        self._seldom = Seldom(_SAME_ERROR_EVERY_S)
        self._settings = settings
        self._metrics = metrics
        self._reachability = reachability
        self._settle = settle
        self._assigned: dict[tuple[str, int], int] = {}
        self._joined = False
        self._largest_bytes = 0
        self._closing = False
        self._topics = list(topics) or [settings.input_topic]
        self._assignment_check = assignment_check
        self._headers = ForwardedHeaders(forwarded_names(settings.forward_headers), metrics.headers_dropped)
        self._forwarded: dict[int, tuple[tuple[str, bytes], ...]] = {}
        self._notes = notes
        self._subscribe()

    def _subscribe(self) -> None:
        self.client.subscribe(self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    @property
    def joined(self) -> bool:
        """Whether the group has given this worker its share of the partitions, which may be none."""
        return self._joined

    def owns(self, place: Partition) -> bool:
        """Say whether a partition is this member's; may be asked in any thread."""
        return place in self._assigned

    def poll_batch(self, *, max_records: int, max_bytes: int) -> list[Record]:
        """Wait briefly for a first record, then take what is there, at most `max_records` and about `max_bytes`.

        Bytes are those that the records are estimated to take decoded, with their keys and headers.

        Raises:
            Fatal: Kafka refuses the worker, an offset range is lost, or Kafka is away for too long.
        """
        if self._assignment_check is not None and self._assignment_check.broken(self.client, self._assigned.keys()):
            # Leaving gives everything back, by the callbacks of the next polls; the client joins again after that.
            self.client.unsubscribe()
            self._subscribe()
            self._metrics.rebalances.labels(kind="rejoined").inc()
        first = self.client.poll(_POLL_S)
        if first is None:
            self._reachability.check()
            self._unread.look(idle=True, paused=self._lost.paused)
            return []
        messages = [first]
        # In steps, because the client counts records, and a batch of the largest records must fit in memory.
        n_bytes = self._weigh(first)
        # Of the batches before, too, and less so the longer ago they were.
        self._largest_bytes = max(n_bytes, self._largest_bytes // 2)
        while len(messages) < max_records and n_bytes < max_bytes:
            room = max(1, (max_bytes - n_bytes) // max(1, self._largest_bytes))
            step = self.client.consume(min(max_records - len(messages), room, _STEP_RECORDS), timeout=0)
            if not step:
                break
            messages.extend(step)
            sizes = [self._weigh(message) for message in step]
            self._largest_bytes = max(self._largest_bytes, *sizes)
            n_bytes += sum(sizes)
        records = [record for record in map(self._record, messages) if record is not None]
        # A partition that was taken away and given back within this very poll is read twice from its committed offset.
        batch = list({record.place: record for record in records}.values())
        self._forwarded.clear()
        self._metrics.lag_age.read(batch)
        self._unread.look(idle=not records, paused=self._lost.paused)
        return batch

    def _weigh(self, message: Message) -> int:
        """Return about how much memory a record takes, bytes; its headers are read here, and too many given back."""
        if message.error() is not None:
            return 0
        self._forwarded[id(message)], n_header_bytes = self._headers.read(message)
        return estimated_decoded_bytes(message.value()) + len(message.key() or b"") + n_header_bytes

    def _record(self, message: Message) -> Record | None:
        error = message.error()
        if error is not None:
            self._take_error(error, message)
            return None
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        if topic is None or partition is None or offset is None:
            raise Fatal(f"a record without topic, partition or offset: {message!r}; expected all three")
        # A record of a partition that a callback in this very poll took away belongs to its next owner.
        if (topic, partition) not in self._assigned:
            return None
        self._reachability.seen()
        self._unread.moved((topic, partition), offset + 1)
        headers = self._forwarded[id(message)]
        record = Record(topic, partition, offset, message.timestamp()[1], message.key(), message.value(), None, headers)
        return self._taken(record, partial(headers_of, message))

    def _taken(self, record: Record, read_headers: ReadHeaders) -> Record | None:  # noqa: ARG002  for who overrides it
        """Return a record as it is handed out; None where it is not."""
        return record

    def _take_error(self, error: KafkaError, message: Message) -> None:
        place = str(message.topic()), message.partition() or 0
        if error.code() == KafkaError._PARTITION_EOF:
            # Behind the last record there may be transaction markers and aborted records only.
            self._unread.moved(place, message.offset() or 0)
            self._on_end(place, message.offset() or 0)
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._on_hole(place)
        elif is_fatal(error) or not self._unread.failed(place, describe(error)):
            self._handle(error)

    def _on_end(self, place: Partition, offset: int) -> None:
        """Take that a partition ends at this offset; told only by a client that is asked to."""

    def _on_hole(self, place: Partition) -> None:
        """Take that the next offset of a partition is not on the broker, so that the client fetches it no longer.

        Raises:
            Fatal: the settings do not accept that.
        """
        front = self._unread.front(place)
        if front is None:
            return
        low, high = self._positions.limits(place)
        start = start_offset(committed=front, low=low, high=high, offset_reset=self._settings.offset_reset)
        if start.n_lost:
            self._lost_at(place, front, low=low, high=high)
        if place not in self._lost.paused:
            self._lost.restart(place, start.offset)
            self._unread.assigned(place, start.offset)
        self._lost.hold(self._assigned.keys())

    def _handle(self, error: KafkaError) -> None:
        if error.code() in UNKNOWN_TOPIC:
            # Said once by the client, whether the topic comes back or not.
            for topic in self._topics:
                self._positions.patiently(f"looking for topic {topic}", partial(look_for, self.client, topic))
        elif is_fatal(error) and not self._join_refusal.may_pass(error):
            raise fatal(error, f"reading {self._settings.input_topic} as group {self._settings.group_id}")
        if self._seldom.due(error.code()):
            log.warning("consumer_error", error=describe(error))

    def rewind(self) -> None:
        """Go back to the committed offsets of all owned partitions.

        Raises:
            Fatal: the committed offsets cannot be read in time.
        """
        for start in self._starts(sorted(self._assigned.keys() - self._lost.paused)):
            if (start.topic, start.partition) not in self._lost.paused:
                self._positions.patiently("going back to the committed offsets", partial(self._seek, start))
                self._unread.assigned((start.topic, start.partition), start.offset)
        self._lost.hold(self._assigned.keys())
        log.info("consumer_rewound", n_partitions=len(self._assigned))

    def _seek(self, start: TopicPartition, *, timeout: float) -> None:  # noqa: ARG002
        try:
            self.client.seek(start)
        except KafkaException as error:
            # Not fetching yet, so that it starts at the offset of its assignment; or being taken away.
            if kafka_error(error).code() not in {KafkaError._STATE, KafkaError._PREV_IN_PROGRESS}:
                raise
            log.info("partition_not_fetching", partition=start.partition)

    def group_member(self) -> GroupMember:
        """Return the group metadata that fences a commit, read now.

        Raises:
            BatchAborted: the group has dropped this member. Its metadata would name no member, and the broker takes
                offsets without a member for those of a producer that does not use fencing at all.
        """
        metadata = self.client.consumer_group_metadata()
        # Read after the metadata: a member id that is still there now was there in the metadata.
        if not self.client.memberid():
            raise BatchAborted("the consumer group has dropped this member")
        return metadata

    def look(self) -> None:
        """Keep the lag up to date while the thread that polls waits for something else."""
        self._unread.look(idle=False, paused=self._lost.paused)

    def committing(self, offsets: Mapping[Partition, int]) -> None:
        """Take that offsets are about to be committed; called by the thread that commits."""
        self._uncommitted.tried(offsets)

    def has_committed(self) -> None:
        """Take that the commit went through; called by the same thread."""
        self._uncommitted.done()

    @property
    def uncommitted_s(self) -> float:
        """How long nothing could be committed, seconds; 0 where nothing is to be."""
        return self._uncommitted.seconds

    def lag_records(self) -> int:
        """Return the records that wait for this worker, by what the client and the last look know, and show the lag.

        Those of paused partitions wait for a person: larger batches would not help them.
        """
        total = 0
        for place in self._assigned:
            _, high = self.client.get_watermark_offsets(TopicPartition(*place), cached=True)
            lag = self._unread.lag(place, high)
            total += 0 if place in self._lost.paused else lag
        return total

    def close(self) -> None:
        """Leave the group, so that others take over at once."""
        self._closing = True
        self.client.close()

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._closing:
            # Another member has left in the same moment. A client that closes answers no question about offsets, and
            # asking would use up the grace time; nothing of these partitions is read.
            consumer.incremental_assign(partitions)
            log.info("assigned_while_closing", n_partitions=len(partitions))
            return
        try:
            starts = self._starts([(p.topic, p.partition) for p in partitions])
        except Fatal:
            # The client waits for an answer to the assignment, and close() would wait with it.
            consumer.incremental_assign(partitions)
            raise
        consumer.incremental_assign(starts)
        self._assigned.update({(p.topic, p.partition): p.offset for p in starts})
        for p in starts:
            self._unread.assigned((p.topic, p.partition), p.offset)
            self._metrics.lag_age.assigned(p.topic, p.partition)
        self._lost.hold(self._assigned.keys())
        if self._notes is not None:
            for p in starts:
                self._notes.take_over((p.topic, p.partition), p.offset)
        places = [(p.topic, p.partition) for p in partitions]
        for follower in self._followers:
            follower.assigned(places)
        self._on_assigned(places)
        self._joined = True
        self._join_refusal.passed()
        self._count_rebalance("assigned", partitions)

    def _on_assigned(self, places: Sequence[Partition]) -> None:
        """Take that these partitions are this member's now."""

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._settle()
        self._release(consumer, partitions)
        self._count_rebalance("revoked", partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # Others own them already: the commit in flight is fenced, and only its end is waited for.
        self._settle()
        self._release(consumer, partitions)
        self._count_rebalance("lost", partitions)

    def _release(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for p in partitions:
            self._assigned.pop((p.topic, p.partition), None)
            if self._notes is not None:
                self._notes.released((p.topic, p.partition))
            self._metrics.lag_records.labels(p.topic, str(p.partition)).set(0)
            self._metrics.lag_age.released(p.topic, p.partition)
            self._unread.released((p.topic, p.partition))
        consumer.incremental_unassign(partitions)
        places = [(p.topic, p.partition) for p in partitions]
        self._lost.released(places)
        self._uncommitted.released(places)
        for follower in self._followers:
            follower.released(places)
        self._on_released(places)

    def _on_released(self, places: Sequence[Partition]) -> None:
        """Take that these partitions are somebody else's now."""

    def _count_rebalance(self, kind: str, partitions: list[TopicPartition]) -> None:
        self._metrics.rebalances.labels(kind=kind).inc()
        self._metrics.assigned_partitions.set(len(self._assigned))
        log.info(
            "partitions_changed",
            kind=kind,
            partitions=sorted(p.partition for p in partitions),
            n_assigned=len(self._assigned),
        )

    def _starts(self, partitions: Sequence[Partition]) -> list[TopicPartition]:
        starts = []
        for position in self._positions.of(partitions):
            self._uncommitted.found(position.place, position.committed)
            if self._notes is not None and position.committed is not None:
                self._notes.found(position.place, position.committed, position.note)
            starts.append(TopicPartition(*position.place, self._start_of(position)))
        return starts

    def _start_of(self, position: Position) -> int:
        """Return the offset at which reading one partition starts.

        Raises:
            Fatal: records are lost, and the settings do not accept that.
        """
        # Before the first commit, a rewind goes back to where the assignment began, not to where the topic ends now.
        committed = self._assigned.get(position.place) if position.committed is None else position.committed
        start = start_offset(
            committed=committed, low=position.low, high=position.high, offset_reset=self._settings.offset_reset
        )
        if start.n_lost and committed is not None:
            self._lost_at(position.place, committed, low=position.low, high=position.high)
        return start.offset

    def _lost_at(self, place: Partition, start: int, *, low: int, high: int) -> None:
        self._lost.found(place, start=start, low=low, high=high)
        # What was read of it before cannot be read again, or not all: what can be is tried anew.
        self._uncommitted.released([place])
