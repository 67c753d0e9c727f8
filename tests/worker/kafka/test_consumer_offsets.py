"""Where the worker's consumer begins, what it goes back to, and what it does about offsets that are gone."""

import time
from collections.abc import Sequence
from typing import Any

import pytest
import structlog
from confluent_kafka import TopicPartition

from tests.broker_twin.broker import TwinBroker
from tests.brokers import Broker, unique
from worker.errors import BatchAborted, Fatal
from worker.kafka.config import consumer_config
from worker.kafka.consumer import RecordConsumer
from worker.kafka.reachability import Reachability
from worker.process.metrics import Metrics
from worker.settings.kafka import KafkaSettings

LIMIT_S = 30.0


class Followed:
    """Notes which partitions its consumers have, and how often they were told of some."""

    def __init__(self) -> None:
        self.owned: set[int] = set()
        self.n_calls = 0

    def assigned(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Take new ones."""
        self.owned |= {number for _, number in partitions}
        self.n_calls += 1

    def released(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Let some go."""
        self.owned -= {number for _, number in partitions}


class Partition:
    """A topic with ten records in its first partition, and consumers of one group.

    Args:
        broker: The broker.
        n_partitions: Partitions of the topic.
    """

    def __init__(self, broker: Broker, *, n_partitions: int = 1) -> None:
        self._broker = broker
        self.topic, self.group = unique("chat-events"), unique("group")
        self.metrics, self.followed = Metrics(), Followed()
        broker.create_topics({self.topic: n_partitions})
        self.write(10)

    @property
    def lost(self) -> float | None:
        """How many records count as lost."""
        return self.metrics.registry.get_sample_value("moderation_lost_records_total")

    def paused(self, partition: int) -> float | None:
        """Return what the metric says of a partition; None where it says nothing."""
        labels = {"topic": self.topic, "partition": str(partition)}
        return self.metrics.registry.get_sample_value("moderation_partition_paused", labels)

    def write(self, n_records: int, *, partition: int = 0) -> None:
        """Write records."""
        producer = self._broker.producer({})
        for _ in range(n_records):
            producer.produce(self.topic, value=b"{}", partition=partition)
        assert producer.flush(LIMIT_S) == 0

    def commit(self, offset: int) -> None:
        """Commit in the name of the group, which must have no members."""
        client = self._broker.consumer({"group.id": self.group})
        client.commit(offsets=[TopicPartition(self.topic, 0, offset)], asynchronous=False)

    def delete(self, *, before: int) -> None:
        """Delete records, as retention does."""
        self._broker.delete_records(self.topic, 0, before=before)

    def consumer(self, **settings: Any) -> RecordConsumer:
        """Return a consumer of the group."""
        kafka = KafkaSettings(
            bootstrap_servers=self._broker.bootstrap_servers,
            input_topic=self.topic,
            group_id=self.group,
            **settings,
        )
        client = self._broker.consumer(consumer_config(kafka))
        reachability = Reachability(exit_after_s=60.0, metrics=self.metrics, probe=lambda: None)
        return RecordConsumer(client, kafka, self.metrics, reachability, settle=lambda: None, followers=[self.followed])


def offsets_read(consumer: RecordConsumer, n_records: int) -> list[int]:
    """Poll until so many records have come; return their offsets."""
    found: list[int] = []
    deadline = time.monotonic() + LIMIT_S
    while len(found) < n_records:
        assert time.monotonic() < deadline, f"{len(found)} records of {n_records}"
        batch = consumer.poll_batch(max_records=n_records - len(found), max_bytes=1_000_000)
        found += [record.offset for record in batch]
    return found


@pytest.fixture
def partition(broker: Broker) -> Partition:
    """Return a partition on the broker of the test."""
    return Partition(broker)


def test_reading_starts_at_the_committed_offset_and_goes_back_there(partition: Partition) -> None:
    """A batch that was aborted comes again."""
    partition.commit(4)
    consumer = partition.consumer()
    assert offsets_read(consumer, 3) == [4, 5, 6]
    consumer.rewind()
    assert offsets_read(consumer, 6) == [4, 5, 6, 7, 8, 9]
    consumer.close()


def test_a_follower_knows_the_partitions_from_their_first_record_to_their_release(broker: Broker) -> None:
    """What it keeps of a partition is of use only while this member has it; a rewind changes nothing of that."""
    partition = Partition(broker, n_partitions=3)
    consumer = partition.consumer()
    assert offsets_read(consumer, 10) == list(range(10))
    assert partition.followed.owned == {0, 1, 2}
    n_calls = partition.followed.n_calls
    consumer.rewind()
    assert offsets_read(consumer, 1) == [0]
    assert partition.followed.n_calls == n_calls
    consumer.close()
    assert partition.followed.owned == set()


def test_without_a_commit_a_rewind_goes_back_to_where_the_assignment_began(partition: Partition) -> None:
    """Not to where the topic ends by then: the records in between would never be judged."""
    consumer = partition.consumer(offset_reset="latest")
    while not consumer.joined:
        consumer.poll_batch(max_records=1, max_bytes=1)
    partition.write(2)
    assert offsets_read(consumer, 2) == [10, 11]
    consumer.rewind()
    assert offsets_read(consumer, 2) == [10, 11]
    consumer.close()


@pytest.mark.parametrize("policy", ["stop", "error"])
def test_a_lost_range_ends_the_process_with_its_size(partition: Partition, policy: str) -> None:
    """Records that nobody has judged are gone; somebody must know."""
    partition.commit(2)
    partition.delete(before=7)
    consumer = partition.consumer(lost_offsets=policy)
    with pytest.raises(Fatal, match=r"committed offset 2, but the broker holds 7\.\.10: up to 5 records are lost"):
        offsets_read(consumer, 1)
    consumer.close()


@pytest.mark.parametrize("policy", ["count", "earliest"])
def test_a_lost_range_that_is_accepted_is_counted_once_and_passed_over(partition: Partition, policy: str) -> None:
    """The rest is judged; going back before the first commit meets the same gap again."""
    partition.commit(2)
    partition.delete(before=7)
    consumer = partition.consumer(lost_offsets=policy)
    assert offsets_read(consumer, 3) == [7, 8, 9]
    consumer.rewind()
    assert offsets_read(consumer, 3) == [7, 8, 9]
    assert partition.lost == 5
    consumer.close()


def test_a_lost_range_pauses_its_partition_and_the_other_goes_on(broker: Broker) -> None:
    """F20: the whole group ended within 11 s because one partition had lost records."""
    partition = Partition(broker, n_partitions=2)
    partition.commit(2)
    partition.delete(before=7)
    with structlog.testing.capture_logs() as logged:
        consumer = partition.consumer()
        partition.write(3, partition=1)
        assert offsets_read(consumer, 3) == [0, 1, 2]
        consumer.rewind()
        assert offsets_read(consumer, 3) == [0, 1, 2]
        partition.write(1, partition=0)
        partition.write(1, partition=1)
        assert offsets_read(consumer, 1) == [3]
    assert (partition.lost, partition.paused(0), partition.paused(1)) == (5, 1, None)
    (paused,) = [line for line in logged if line["event"] == "partition_paused"]
    assert (paused["partition"], paused["cause"]) == (0, "offsets_lost")
    assert "MODERATION_KAFKA__LOST_OFFSETS=count" in paused["remedy"]
    consumer.close()
    assert partition.paused(0) is None


def test_a_partition_that_comes_back_to_the_same_worker_is_paused_again_and_not_counted_again(twin: TwinBroker) -> None:
    """Rebalances must not multiply a loss."""
    partition = Partition(twin)
    partition.commit(2)
    partition.delete(before=7)
    consumer = partition.consumer()
    while not consumer.joined:
        consumer.poll_batch(max_records=1, max_bytes=1)
    twin.group(partition.group).leave(consumer.client.memberid())
    for _ in range(3):
        assert consumer.poll_batch(max_records=1, max_bytes=1) == []
    rebalances = partition.metrics.registry.get_sample_value("moderation_rebalances_total", {"kind": "assigned"})
    assert (rebalances, partition.lost, partition.paused(0)) == (2, 5, 1)
    consumer.close()


def test_retention_that_overtakes_a_reading_worker_pauses_that_partition_too(twin: TwinBroker) -> None:
    """In memory only: what a real client has fetched already is not lost."""
    partition = Partition(twin, n_partitions=2)
    consumer = partition.consumer()
    assert offsets_read(consumer, 4) == [0, 1, 2, 3]
    partition.delete(before=7)
    partition.write(2, partition=1)
    assert offsets_read(consumer, 2) == [0, 1]
    assert (partition.lost, partition.paused(0)) == (3, 1)
    consumer.rewind()
    assert offsets_read(consumer, 2) == [0, 1]
    assert partition.lost == 3
    consumer.close()


def test_retention_that_overtakes_a_reading_worker_is_counted_where_the_loss_is_accepted(twin: TwinBroker) -> None:
    """It ended the worker whatever the setting said; and what is read again before the gap counts as lost then."""
    partition = Partition(twin)
    consumer = partition.consumer(lost_offsets="count")
    assert offsets_read(consumer, 4) == [0, 1, 2, 3]
    partition.delete(before=7)
    assert offsets_read(consumer, 3) == [7, 8, 9]
    assert partition.lost == 3
    consumer.rewind()
    assert offsets_read(consumer, 3) == [7, 8, 9]
    assert partition.lost == 7
    consumer.close()


def test_what_waits_in_a_paused_partition_is_shown_and_makes_no_batch_larger(twin: TwinBroker) -> None:
    """The others would be judged by the second in place of the tenth, for as long as nobody comes."""
    partition = Partition(twin, n_partitions=2)
    partition.commit(2)
    partition.delete(before=7)
    partition.write(3, partition=1)
    consumer = partition.consumer()
    assert offsets_read(consumer, 1) == [0]
    assert consumer.lag_records() == 2
    labels = {"topic": partition.topic, "partition": "0"}
    assert partition.metrics.registry.get_sample_value("moderation_lag_records", labels) == 3
    consumer.close()


@pytest.mark.parametrize("policy", ["pause", "count"])
def test_a_batch_whose_records_retention_took_is_no_longer_to_be_committed(twin: TwinBroker, policy: str) -> None:
    """Nothing comes to be committed in its place; the worker would not be ready until somebody writes."""
    partition = Partition(twin)
    partition.commit(0)
    consumer = partition.consumer(lost_offsets=policy)
    assert offsets_read(consumer, 4) == [0, 1, 2, 3]
    consumer.committing({(partition.topic, 0): 4})
    assert consumer.uncommitted_s > 0
    partition.delete(before=10)
    consumer.rewind()
    assert consumer.uncommitted_s == 0
    consumer.close()


def test_retention_that_overtakes_a_reading_worker_ends_it_where_it_is_to_stop(twin: TwinBroker) -> None:
    """With the number of lost records, as at an assignment."""
    partition = Partition(twin)
    consumer = partition.consumer(lost_offsets="stop")
    assert offsets_read(consumer, 4) == [0, 1, 2, 3]
    partition.delete(before=7)
    with pytest.raises(Fatal, match=r"up to 3 records are lost"):
        offsets_read(consumer, 1)


def test_a_member_that_the_group_has_dropped_commits_nothing_and_reads_again(twin: TwinBroker) -> None:
    """In memory only: no client can ask a real coordinator to drop a member."""
    partition = Partition(twin)
    consumer = partition.consumer()
    assert offsets_read(consumer, 2) == [0, 1]
    assert consumer.lag_records() == 8
    twin.group(partition.group).leave(consumer.client.memberid())
    with pytest.raises(BatchAborted, match="dropped this member"):
        consumer.group_member()
    assert offsets_read(consumer, 2) == [0, 1]
    rebalances = "moderation_rebalances_total"
    assert partition.metrics.registry.get_sample_value(rebalances, {"kind": "lost"}) == pytest.approx(1)
    consumer.close()
