"""A replay's loop over a broker: it reads its range and nothing else, and accounts for it beside the offset."""

import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from schemas import CodecLimits, PolicyRef
from tests.broker_twin.broker import TwinBroker
from tests.brokers import Broker, read, unique
from tests.worker.kafka.faults import FaultyProducer, kafka_failure
from tests.worker.loop_rig import Cache, Model
from tests.worker.payloads import builder, record
from worker.batch_size import BatchSize
from worker.commit_pipeline import CommitPipeline
from worker.errors import Fatal
from worker.kafka.config import consumer_config, producer_config
from worker.kafka.partition_range import PartitionRange
from worker.kafka.publisher import TransactionalPublisher
from worker.kafka.reachability import Reachability
from worker.loop import WorkerLoop
from worker.moves.counts import Outcomes
from worker.outcome_encoding import OutputTopics
from worker.predictor import Predictor
from worker.process.metrics import Metrics
from worker.record import Record
from worker.replay.plan.replay_plan import ReplayPlan
from worker.replay.plan.request import ReplayRequest
from worker.replay.plan.selection import Selection
from worker.replay.report.tally import Reading, Tally
from worker.replay.run.progress import Progress
from worker.replay.run.publisher import ReplayPublisher
from worker.replay.run.range_consumer import RangeConsumer
from worker.settings.batch import BatchSettings
from worker.settings.kafka import KafkaSettings

POLICY = PolicyRef(name="p", version="1")


class ReplayRig:
    """One partition of records and a replay of some of its offsets.

    Args:
        broker: The broker.
    """

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.events, self.verdicts, self.letters = unique("chat-events"), unique("verdicts"), unique("dlq")
        broker.create_topics({self.events: 1, self.verdicts: 1, self.letters: 1})
        self.settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, group_id=unique("group"))
        self.client = broker.consumer(consumer_config(self.settings) | {"enable.partition.eof": True})
        self.metrics = Metrics()
        self.progress = Progress()
        self.commit_failures: list[BaseException | None] = []
        self.on_turn: Callable[[], None] = lambda: None

    def write(self, records: Iterable[Record], *, in_transaction: bool = False, aborts: bool = False) -> None:
        """Write records; in a transaction a marker follows them."""
        producer = self.broker.producer({"transactional.id": unique("id")} if in_transaction else {})
        if in_transaction:
            producer.init_transactions(30)
            producer.begin_transaction()
        for one in records:
            producer.produce(self.events, value=one.value, key=one.key, partition=0)
        producer.flush(30)
        if in_transaction:
            (producer.abort_transaction if aborts else producer.commit_transaction)(30)

    def start_at(self, offset: int, tally: Tally | None = None) -> None:
        """Commit where the replay begins, or where an earlier process has left it."""
        at = TopicPartition(self.events, 0, offset, (tally or Tally()).to_note())
        self.client.commit(offsets=[at], asynchronous=False)

    def run(self, start: int, end: int, selection: Selection | None = None, *, max_records: int = 100) -> None:
        """Run the loop until the range is committed."""
        stopping, commits = threading.Event(), CommitPipeline(background=True)
        publisher = ReplayPublisher(self._inner(), self.progress, None)
        span = PartitionRange(topic=self.events, partition=0, start=start, end=end)
        consumer = RangeConsumer(
            self.client,
            plan=self._plan(span),
            selection=selection or Selection(),
            progress=self.progress,
            wait_commit=commits.wait,
            rate=None,
            guard=None,
            stopping=stopping,
            publisher=publisher,
            settings=self.settings,
            metrics=self.metrics,
            reachability=Reachability(exit_after_s=60.0, metrics=self.metrics, probe=lambda: None),
            settle=commits.settle,
        )

        def beat() -> None:
            self.on_turn()
            one = self.progress.get(span.place)
            if one is not None and one.is_read and one.is_committed:
                stopping.set()

        predictor = Predictor(Model(), builder(replay_id="r1"))  # type: ignore[arg-type]
        WorkerLoop(
            consumer=consumer,
            cache=Cache(),  # type: ignore[arg-type]
            predictor=lambda: predictor,
            publisher=publisher,
            commits=commits,
            topics=OutputTopics(self.verdicts, self.letters, 1_000_000, 1_000_000),
            limits=CodecLimits(),
            batch_size=BatchSize(BatchSettings(max_records=max_records, thin_s=60.0, lagging_s=60.0)),
            max_batch_bytes=1_000_000,
            metrics=self.metrics,
            stopping=stopping,
            beat=beat,
        ).run()
        consumer.close()

    def _inner(self) -> TransactionalPublisher:
        config = producer_config(self.settings, transactional_id=unique("id"), max_message_bytes=1_000_000)

        def make_producer() -> Any:
            return FaultyProducer(self.broker.producer(config), {"commit_transaction": self.commit_failures})

        return TransactionalPublisher(
            make_producer, transaction_timeout_s=60.0, request_timeout_s=30.0, unreachable_exit_s=60.0
        )

    def _plan(self, span: PartitionRange) -> ReplayPlan:
        request = ReplayRequest(
            topics=(self.events,),
            verdict_topic=self.verdicts,
            dead_letter_topic=self.letters,
            model_digest="sha256:x",
            policy=POLICY,
        )
        return ReplayPlan(
            replay_id="r1",
            request=request,
            ranges=(span,),
            topic_ids={self.events: "id-1"},
            planned_at=datetime(2026, 1, 1, tzinfo=UTC),
        )

    @property
    def judged(self) -> list[str]:
        """The chats of the verdicts that a downstream reader sees, in order."""
        return [bytes(message.key() or b"").decode() for message in read(self.broker, self.verdicts)]

    @property
    def committed(self) -> tuple[int, Tally]:
        """The committed offset and the tally beside it."""
        (found,) = self.client_of_group().committed([TopicPartition(self.events, 0)], timeout=30)
        return found.offset, Tally.from_note(found.metadata)

    def client_of_group(self) -> Any:
        """Return another consumer of the replay's group."""
        return self.broker.consumer({"group.id": self.settings.group_id})


def chats(offsets: Sequence[int]) -> list[str]:
    """Return the chats of the records at these offsets."""
    return [f"chat-{offset}" for offset in offsets]


@pytest.fixture
def rig(broker: Broker) -> ReplayRig:
    """Return a replay on the broker of the test."""
    return ReplayRig(broker)


def test_a_replay_judges_its_range_and_nothing_before_or_behind_it(rig: ReplayRig) -> None:
    """And counts what it read beside the offset that it committed."""
    rig.write(record(offset) for offset in range(10))
    rig.start_at(2)
    rig.run(2, 6)
    assert rig.judged == chats([2, 3, 4, 5])
    assert rig.committed == (6, Tally(Reading(n_read=4), Outcomes(n_verdicts=4)))


def test_a_range_that_ends_with_offsets_without_records_is_committed_to_its_end(rig: ReplayRig) -> None:
    """Transaction markers and aborted records take offsets; a replay that waited for their records would never end."""
    rig.write([record(0), record(1)], in_transaction=True)
    rig.write([record(9), record(9)], in_transaction=True, aborts=True)
    rig.start_at(0)
    rig.run(0, 6)
    assert rig.judged == chats([0, 1])
    assert rig.committed == (6, Tally(Reading(n_read=2), Outcomes(n_verdicts=2)))


def test_what_is_not_asked_for_is_skipped_counted_and_committed(rig: ReplayRig) -> None:
    """Also behind the last record that is asked for."""
    rig.write(record(offset)._replace(key=None) for offset in range(4))
    rig.start_at(0)
    rig.run(0, 4, Selection(chats=frozenset({"chat-1"})))
    assert rig.judged == chats([1])
    assert rig.committed == (4, Tally(Reading(n_read=1, n_skipped=3), Outcomes(n_verdicts=1)))


def test_a_batch_that_was_not_committed_is_read_again_and_counted_once(rig: ReplayRig) -> None:
    """A commit without an answer: nobody knows, until the new producer has fenced the old one."""
    rig.commit_failures.append(kafka_failure(KafkaError._TIMED_OUT))
    rig.write(record(offset) for offset in range(4))
    rig.start_at(0)
    rig.run(0, 4)
    assert rig.judged == chats([0, 1, 2, 3])
    assert rig.committed == (4, Tally(Reading(n_read=4), Outcomes(n_verdicts=4)))


def test_a_replay_goes_on_where_an_earlier_process_has_left_it(rig: ReplayRig) -> None:
    """Offset and tally are all that is left of it."""
    rig.write(record(offset) for offset in range(4))
    rig.start_at(3, Tally(Reading(n_read=3), Outcomes(n_verdicts=3)))
    rig.run(0, 4)
    assert rig.judged == chats([3])
    assert rig.committed == (4, Tally(Reading(n_read=4), Outcomes(n_verdicts=4)))


def test_what_retention_has_taken_since_the_plan_is_counted_as_lost(rig: ReplayRig) -> None:
    """A hole has a number; what lies behind it is judged."""
    rig.write(record(offset) for offset in range(6))
    rig.broker.delete_records(rig.events, 0, before=4)
    rig.start_at(1)
    rig.run(1, 6)
    assert rig.judged == chats([4, 5])
    assert rig.committed == (6, Tally(Reading(n_read=2, n_lost=3), Outcomes(n_verdicts=2)))
    assert rig.metrics.registry.get_sample_value("moderation_lost_records_total") == pytest.approx(3)


def test_what_retention_takes_while_a_replay_reads_is_counted_as_lost(twin: TwinBroker) -> None:
    """In memory only: a real client has fetched the records before they can be deleted."""
    rig = ReplayRig(twin)
    rig.write(record(offset) for offset in range(6))
    rig.start_at(0)
    rig.on_turn = lambda: twin.delete_records(rig.events, 0, before=4) if rig.judged else None
    rig.run(0, 6, max_records=1)
    judged = rig.judged
    assert judged[-2:] == chats([4, 5])
    n_lost = 6 - len(judged)
    assert n_lost > 0
    assert rig.committed == (6, Tally(Reading(n_read=6 - n_lost, n_lost=n_lost), Outcomes(n_verdicts=6 - n_lost)))


def test_a_group_that_has_lost_its_offset_ends_the_replay(rig: ReplayRig) -> None:
    """Judging from the start would repeat verdicts."""
    rig.write([record(0)])
    with pytest.raises(Fatal, match="has lost its committed offset"):
        rig.run(0, 1)
    assert rig.judged == []
