"""Single records of a real topic by exact offsets, as far as they are still there."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from deploy.local import LocalStack
from training_pipeline.data.errors import DataError
from training_pipeline.data.kafka_range import KafkaRangeReader, _runs


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """One broker for all tests of this file."""
    with LocalStack() as running:
        yield running


def test_offsets_near_each_other_are_read_in_one_go() -> None:
    """A jump costs a request, a record that is read over a few bytes."""
    assert list(_runs([])) == []
    assert list(_runs([3, 4, 100, 1_000, 5_000, 5_001])) == [[3, 4, 100], [1_000], [5_000, 5_001]]


@pytest.mark.services
def test_what_is_there_is_read_and_what_is_gone_is_passed_over(stack: LocalStack) -> None:
    """Retention, aborted transactions, offsets that never were, partitions that are not: no error and no waiting."""
    topic = f"events-{uuid4().hex[:8]}"
    stack.kafka.create_topics({topic: 2}, config={"retention.ms": "-1"})
    plain = Producer({"bootstrap.servers": stack.bootstrap_servers})
    for i in range(1_000):
        plain.produce(topic, f"value {i}", partition=0)
    plain.flush()
    aborting = Producer({"bootstrap.servers": stack.bootstrap_servers, "transactional.id": topic})
    aborting.init_transactions(30)
    aborting.begin_transaction()
    aborting.produce(topic, "aborted", partition=1)
    aborting.flush()
    aborting.abort_transaction(30)
    plain.produce(topic, "behind it", partition=1)
    plain.flush()
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    (deleted,) = admin.delete_records([TopicPartition(topic, 0, 40)]).values()
    deleted.result(timeout=20)
    wanted = {0: {10, 40, 41, 700, 999, 5_000}, 1: [0, 1, 2], 9: [0]}
    with KafkaRangeReader({"bootstrap.servers": stack.bootstrap_servers}) as reader:
        found = {(one.partition, one.offset): one.raw for one in reader.read_at(topic, wanted)}
        with pytest.raises(DataError, match="no-such-topic"):
            list(reader.read_at("no-such-topic", {0: [0]}))
    assert found == {
        (0, 40): b"value 40",
        (0, 41): b"value 41",
        (0, 700): b"value 700",
        (0, 999): b"value 999",
        (1, 2): b"behind it",
    }
