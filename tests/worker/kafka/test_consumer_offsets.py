"""Where the worker's consumer begins, what it goes back to, and what it does about offsets that are gone."""

import time
from typing import Any

import pytest
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


class Partition:
    """A topic of one partition with ten records, and consumers of one group.

    Args:
        broker: The broker.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.topic, self.group = unique("chat-events"), unique("group")
        self.metrics = Metrics()
        broker.create_topics({self.topic: 1})
        self.write(10)

    def write(self, n_records: int) -> None:
        """Write records."""
        producer = self._broker.producer({})
        for _ in range(n_records):
            producer.produce(self.topic, value=b"{}", partition=0)
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
        return RecordConsumer(client, kafka, self.metrics, reachability, settle=lambda: None)


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


def test_a_lost_range_ends_the_process_with_its_size(partition: Partition) -> None:
    """Records that nobody has judged are gone; somebody must know."""
    partition.commit(2)
    partition.delete(before=7)
    consumer = partition.consumer(lost_offsets="error")
    with pytest.raises(Fatal, match=r"committed offset 2, but the broker holds 7\.\.10: up to 5 records are lost"):
        offsets_read(consumer, 1)
    consumer.close()


def test_a_lost_range_that_is_accepted_is_counted_and_passed_over(partition: Partition) -> None:
    """The rest is judged."""
    partition.commit(2)
    partition.delete(before=7)
    consumer = partition.consumer(lost_offsets="earliest")
    assert offsets_read(consumer, 3) == [7, 8, 9]
    assert partition.metrics.registry.get_sample_value("moderation_lost_records_total") == pytest.approx(5)
    consumer.close()


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
