"""The loop over a broker: real consumer, real publisher, and stand-ins for cache and model."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from model import Classification, ClassifyStats, InferenceStalled, RowFailed
from schemas import CodecLimits, RejectionMarker, Turn, Verdict, decode_marker, decode_verdict
from tests.brokers import Broker, read, unique
from tests.worker.payloads import TOPICS, builder, classification
from worker.batch_size import BatchSize
from worker.cache.entries import Entry
from worker.cache.owed_notes import OwedNotes
from worker.commit_pipeline import CommitPipeline
from worker.decide import Answers, ContextSource
from worker.errors import BatchAborted
from worker.kafka.config import consumer_config, producer_config
from worker.kafka.consumer import RecordConsumer
from worker.kafka.publisher import GroupMember, TransactionalPublisher
from worker.kafka.reachability import Reachability
from worker.loop import OnCommitted, WorkerLoop
from worker.outcome_encoding import OutgoingMessage
from worker.predictor import Predictor, PredictorSource
from worker.process.metrics import Metrics
from worker.process.tracing import Tracing
from worker.record import Record
from worker.settings.batch import BatchSettings
from worker.settings.kafka import KafkaSettings


class FedConsumer(RecordConsumer):
    """Finds each batch of a test in the input topic once the one before has been read.

    It asks for a stop when everything is committed. After a rewind it reads what is in the topic, as ever.
    """

    def __init__(
        self, broker: Broker, batches: list[list[Record]], stopping: threading.Event, client: Consumer, **rest: Any
    ) -> None:
        self.batches = batches
        self.stopping = stopping
        self.stops_with_last = False
        self.n_rewinds = 0
        self.dropped = False
        self.on_rewind: Callable[[], None] = lambda: None
        self.committed: Callable[[], dict[int, int]] = dict
        self._producer = broker.producer({"enable.idempotence": True, "linger.ms": 100})
        self._written: dict[int, int] = {}
        self._read: dict[int, int] = {}
        super().__init__(client, **rest)

    def poll_batch(self, *, max_records: int, max_bytes: int) -> list[Record]:
        """Write the next batch where it is due, and poll."""
        if self.joined and self._read == self._written:
            if self.batches:
                self._write(self.batches.pop(0))
            elif self.committed() == self._written:
                self.stopping.set()
                return []
        records = super().poll_batch(max_records=max_records, max_bytes=max_bytes)
        for record in records:
            self._read[record.partition] = record.offset + 1
        if self.stops_with_last and records and not self.batches and self._read == self._written:
            self.stopping.set()
        return records

    def _write(self, batch: list[Record]) -> None:
        """Write a batch so that it can be read at once; a test knows at which offsets its records come to lie."""
        places: list[tuple[int | None, int | None]] = []
        for record in batch:
            self._producer.produce(
                self._topics[0],
                value=record.value,
                key=record.key,
                partition=record.partition,
                timestamp=record.timestamp_ms,
                headers=[*record.headers] or None,
                on_delivery=lambda _, message: places.append((message.partition(), message.offset())),
            )
        assert self._producer.flush(30) == 0
        assert sorted(places) == sorted((record.partition, record.offset) for record in batch)
        for record in batch:
            self._written[record.partition] = record.offset + 1

    def group_member(self) -> GroupMember:
        """Return the group metadata, unless the group is to have dropped this member."""
        if self.dropped:
            self.dropped = False
            raise BatchAborted("the consumer group has dropped this member")
        return super().group_member()

    def rewind(self) -> None:
        """Go back."""
        self.n_rewinds += 1
        self.on_rewind()
        self._read = self.committed()
        super().rewind()


@dataclass
class Cache:
    """A cache in memory."""

    stored: dict[str, Verdict] = field(default_factory=dict)
    markers: dict[str, RejectionMarker] = field(default_factory=dict)
    on_look_up: Callable[[], None] = lambda: None

    def get_many(self, chat_ids: Iterable[str]) -> dict[str, Verdict]:
        """Look up."""
        self.on_look_up()
        return {chat_id: self.stored[chat_id] for chat_id in chat_ids if chat_id in self.stored}

    def put_many(self, entries: Iterable[Entry]) -> list[Entry]:
        """Store."""
        for entry in entries:
            if entry.verdict is None:
                self.stored.pop(entry.chat_id, None)
                self.markers[entry.chat_id] = decode_marker(entry.value)
                continue
            assert decode_verdict(entry.value) == entry.verdict
            self.markers.pop(entry.chat_id, None)
            self.stored[entry.chat_id] = entry.verdict
        return []


@dataclass
class Model:
    """A classifier that notes what it was asked; texts with "poison" fail, those with "endless" stall the call."""

    asked: list[Sequence[Turn]] = field(default_factory=list)
    is_worn_out: bool = False

    def classify(
        self, conversations: Sequence[Sequence[Turn]]
    ) -> tuple[list[Classification | RowFailed], ClassifyStats]:
        """Answer."""
        self.asked.extend(conversations)
        if any("endless" in turns[0].text for turns in conversations):
            raise InferenceStalled("too many took too long", n_timeouts=4, n_abandoned=1)
        failed = RowFailed("the model failed on this row")
        return [failed if "poison" in turns[0].text else classification() for turns in conversations], ClassifyStats()


@dataclass
class Commit:
    """One commit that went through: how many messages, the offsets and the notes beside them, by partition."""

    n_messages: int
    offsets: dict[int, int]
    notes: dict[int, str] = field(default_factory=dict)


@dataclass
class Publisher:
    """A publisher that notes what was committed; its first commits fail as a test says, and touch no broker."""

    inner: TransactionalPublisher
    failures: list[BaseException]
    committed: list[OutgoingMessage] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)

    def commit(self, messages: Sequence[OutgoingMessage], offsets: Any, member: object, notes: Any = None) -> None:
        """Commit all of it, or raise."""
        if self.failures:
            raise self.failures.pop(0)
        self.inner.commit(messages, offsets, member, notes)
        self.committed.extend(messages)
        by_partition = {partition: offset for (_, partition), offset in offsets.items()}
        beside = {partition: note for (_, partition), note in (notes or {}).items()}
        self.commits.append(Commit(len(messages), by_partition, beside))

    @property
    def offsets(self) -> dict[int, int]:
        """The committed offsets by partition."""
        return {partition: offset for commit in self.commits for partition, offset in commit.offsets.items()}


class Rig:
    """A loop and what stands around it.

    Args:
        broker: Where the topics are, which are this rig's own.
        batches: What is written for the loop, one batch after the other; an empty one is a turn without records.
        failures: What the first commits raise.
        cache: In place of one that takes every write.
        keeps_notes: Whether notes on what the cache is owed stand beside the offsets.
        verdict_max_bytes: The largest message that the verdict topic takes.
        in_background: Whether a commit runs beside the next batch.
        predictor: In place of one that gives every text the same answer.
        on_committed: Told of each commit.
        sources: What bears on decisions besides.
        answers: Tells what is to be decided on again.
        tracing: Traces batches.
    """

    def __init__(
        self,
        broker: Broker,
        *batches: list[Record],
        failures: Iterable[BaseException] = (),
        cache: Cache | None = None,
        keeps_notes: bool = False,
        verdict_max_bytes: int = TOPICS.verdict_max_bytes,
        in_background: bool = True,
        predictor: PredictorSource | None = None,
        on_committed: OnCommitted | None = None,
        sources: Sequence[ContextSource] = (),
        answers: Answers | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._broker = broker
        self.topics = replace(
            TOPICS,
            verdicts=unique("verdicts"),
            dead_letters=unique("chat-events.dlq"),
            verdict_max_bytes=verdict_max_bytes,
        )
        self.events, stopping = unique("chat-events"), threading.Event()
        broker.create_topics({self.events: 2, self.topics.verdicts: 1, self.topics.dead_letters: 1})
        settings = KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers, input_topic=self.events, group_id=unique("group")
        )
        self.cache, self.model, self.metrics = cache or Cache(), Model(), Metrics()
        notes = OwedNotes(self.cache) if keeps_notes else None  # type: ignore[arg-type]
        self.commits = CommitPipeline(background=in_background)
        self.publisher = Publisher(_transactional(broker, settings), list(failures))
        self.consumer = FedConsumer(
            broker,
            list(batches),
            stopping,
            broker.consumer(consumer_config(settings)),
            settings=settings,
            metrics=self.metrics,
            reachability=Reachability(exit_after_s=60.0, metrics=self.metrics, probe=lambda: None),
            settle=self.commits.settle,
            notes=notes,
        )
        self.consumer.committed = lambda: self.publisher.offsets
        self.batch_size = BatchSize(BatchSettings(thin_s=60.0, lagging_s=60.0))
        self.predictor = Predictor(self.model, builder())  # type: ignore[arg-type]
        self.loop = WorkerLoop(
            consumer=self.consumer,
            cache=self.cache,  # type: ignore[arg-type]
            predictor=predictor or (lambda: self.predictor),
            publisher=self.publisher,  # type: ignore[arg-type]
            commits=self.commits,
            topics=self.topics,
            limits=CodecLimits(),
            batch_size=self.batch_size,
            max_batch_bytes=1_000_000,
            metrics=self.metrics,
            stopping=stopping,
            beat=lambda: None,
            on_committed=on_committed,
            notes=notes,
            sources=sources,
            answers=answers,
            tracing=tracing,
        )
        while not self.consumer.joined:
            self.consumer.poll_batch(max_records=1, max_bytes=1)

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts that a downstream reader sees, in order."""
        return [decode_verdict(m.value() or b"") for m in read(self._broker, self.topics.verdicts)]

    @property
    def reasons(self) -> list[str]:
        """The reasons of the dead letters that a downstream reader sees, in order."""
        letters = [dict(m.headers() or ()) for m in read(self._broker, self.topics.dead_letters)]
        return [bytes(headers["reason"]).decode() for headers in letters]  # type: ignore[call-overload]

    @property
    def offsets(self) -> dict[int, int]:
        """The offsets that the group has committed, by partition."""
        places = [TopicPartition(self.events, partition) for partition in range(2)]
        found = self.consumer.client.committed(places, timeout=30)
        return {one.partition: one.offset for one in found if one.offset >= 0}


def _transactional(broker: Broker, settings: KafkaSettings) -> TransactionalPublisher:
    config = producer_config(
        settings, transactional_id=unique("id"), max_message_bytes=max(TOPICS.verdict_max_bytes, 1_000_000)
    )
    return TransactionalPublisher(
        lambda: broker.producer(config), transaction_timeout_s=60.0, request_timeout_s=30.0, unreachable_exit_s=60.0
    )
