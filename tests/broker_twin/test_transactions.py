"""Transactions and their fences; on the twin and on a real broker."""

from functools import partial

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, Message, Producer, TopicPartition

from tests.broker_twin.clients import (
    LIMIT_S,
    Member,
    consumer_of,
    poll_until,
    transactional,
    values,
    write,
    write_in_transaction,
)
from tests.brokers import Broker, read, unique


@pytest.fixture
def topic(broker: Broker) -> str:
    """Create a topic with two partitions."""
    name = unique("events")
    broker.create_topics({name: 2})
    return name


def error_of(refused: pytest.ExceptionInfo[KafkaException]) -> KafkaError:
    """Return the error that an exception carries."""
    found: KafkaError = refused.value.args[0]
    return found


def send_offsets(producer: Producer, topic: str, member: object, offset: int = 7) -> None:
    """Add the offset of partition 0, with a text beside it."""
    producer.send_offsets_to_transaction([TopicPartition(topic, 0, offset, "note")], member, LIMIT_S)


def test_records_and_offsets_commit_as_one(broker: Broker, topic: str) -> None:
    """With the text beside an offset; a later commit without one leaves none."""
    consumer, producer = consumer_of(broker), transactional(broker)
    for offset, note in ((7, "note"), (8, "")):
        write_in_transaction(producer, topic, [b"%d" % offset])
        ends = [TopicPartition(topic, 0, offset, note)]
        producer.send_offsets_to_transaction(ends, consumer.consumer_group_metadata(), LIMIT_S)
        producer.commit_transaction(LIMIT_S)
        (found,) = consumer.committed([TopicPartition(topic, 0)], timeout=LIMIT_S)
        assert (found.offset, found.metadata or "") == (offset, note)
    assert values(read(broker, topic)) == [b"7", b"8"]


def test_an_abort_leaves_neither_records_nor_offsets(broker: Broker, topic: str) -> None:
    """All of it or nothing; and the producer goes on."""
    consumer, producer = consumer_of(broker), transactional(broker)
    write_in_transaction(producer, topic, [b"1"])
    send_offsets(producer, topic, consumer.consumer_group_metadata())
    producer.abort_transaction(LIMIT_S)
    assert consumer.committed([TopicPartition(topic, 0)], timeout=LIMIT_S)[0].offset == OFFSET_INVALID
    write_in_transaction(producer, topic, [b"2"])
    producer.commit_transaction(LIMIT_S)
    assert values(read(broker, topic)) == [b"2"]


@pytest.mark.parametrize("step", ["send_offsets", "commit"])
def test_a_newer_producer_of_the_same_id_fences_the_older_for_good(broker: Broker, topic: str, step: str) -> None:
    """And what the older one had open is aborted."""
    name = unique("id")
    consumer, old = consumer_of(broker), transactional(broker, name)
    write_in_transaction(old, topic, [b"old"])
    new = transactional(broker, name)
    metadata = consumer.consumer_group_metadata()
    take_step = partial(send_offsets, old, topic, metadata) if step == "send_offsets" else old.commit_transaction
    with pytest.raises(KafkaException) as refused:
        take_step()
    assert (error_of(refused).code(), error_of(refused).fatal()) == (KafkaError._FENCED, True)
    write_in_transaction(new, topic, [b"new"])
    new.commit_transaction(LIMIT_S)
    assert values(read(broker, topic)) == [b"new"]


def test_a_group_that_has_moved_on_refuses_offsets_and_takes_them_with_fresh_metadata(
    broker: Broker, topic: str
) -> None:
    """The fence against a worker that has slept through a rebalance."""
    group = unique("group")
    first = Member(broker, topic, group)
    poll_until(first.client, lambda: len(first.owned) == 2)
    stale = first.client.consumer_group_metadata()
    second = Member(broker, topic, group)
    poll_until(first.client, lambda: len(first.owned) == len(second.owned) == 1, second.client)
    producer = transactional(broker)
    write_in_transaction(producer, topic, [b"1"])
    with pytest.raises(KafkaException) as refused:
        send_offsets(producer, topic, stale)
    assert (error_of(refused).code(), error_of(refused).txn_requires_abort()) == (KafkaError.ILLEGAL_GENERATION, True)
    producer.abort_transaction(LIMIT_S)
    write_in_transaction(producer, topic, [b"2"])
    send_offsets(producer, topic, first.client.consumer_group_metadata())
    producer.commit_transaction(LIMIT_S)
    assert first.client.committed([TopicPartition(topic, 0)], timeout=LIMIT_S)[0].offset == 7
    second.client.close()
    first.client.close()


def test_a_member_that_has_left_is_refused(broker: Broker, topic: str) -> None:
    """Its partitions are somebody else's."""
    member = Member(broker, topic, unique("group"))
    poll_until(member.client, lambda: len(member.owned) == 2)
    left = member.client.consumer_group_metadata()
    member.client.close()
    producer = transactional(broker)
    write_in_transaction(producer, topic, [b"1"])
    with pytest.raises(KafkaException) as refused:
        send_offsets(producer, topic, left)
    assert (error_of(refused).code(), error_of(refused).txn_requires_abort()) == (KafkaError.UNKNOWN_MEMBER_ID, True)


def test_metadata_without_a_member_is_not_fenced(broker: Broker, topic: str) -> None:
    """The reason why the worker looks at its member id before each commit."""
    group = unique("group")
    member = Member(broker, topic, group)
    poll_until(member.client, lambda: len(member.owned) == 2)
    producer = transactional(broker)
    write_in_transaction(producer, topic, [b"1"])
    send_offsets(producer, topic, consumer_of(broker, group).consumer_group_metadata())
    producer.commit_transaction(LIMIT_S)
    assert member.client.committed([TopicPartition(topic, 0)], timeout=LIMIT_S)[0].offset == 7
    member.client.close()


@pytest.mark.parametrize("step", ["begin_transaction", "commit_transaction", "abort_transaction"])
def test_a_step_out_of_turn_is_refused(broker: Broker, step: str) -> None:
    """No transaction begins before the id is taken, and none ends that has not begun."""
    producer = broker.producer({"transactional.id": unique("id")})
    with pytest.raises(KafkaException) as refused:
        getattr(producer, step)()
    assert error_of(refused).code() == KafkaError._STATE


def test_a_delivery_report_names_the_place_and_one_key_has_one_partition(broker: Broker, topic: str) -> None:
    """Records of a chat stay in order."""
    reports: list[tuple[bool, int | None, int | None]] = []

    def on_delivery(error: KafkaError | None, message: Message) -> None:
        reports.append((error is None, message.partition(), message.offset()))

    producer = broker.producer({"enable.idempotence": True})
    for _ in range(3):
        producer.produce(topic, value=b"v", key=b"chat", on_delivery=on_delivery)
    assert reports == []
    assert producer.flush(LIMIT_S) == 0
    ((partition,), offsets) = {report[1] for report in reports}, [report[2] for report in reports]
    assert (partition in {0, 1}, offsets, all(report[0] for report in reports)) == (True, [0, 1, 2], True)


def test_records_outside_of_transactions_are_seen_at_once(broker: Broker, topic: str) -> None:
    """And no marker follows them."""
    write(broker, topic, [b"1", b"2"])
    assert [message.offset() for message in read(broker, topic)] == [0, 1]


def test_a_record_that_a_topic_never_takes_fails_its_transaction(broker: Broker, topic: str) -> None:
    """Whichever step meets it, the error has the broker's code and names the topic; the abort goes through."""
    limited = unique("limited")
    broker.create_topics({limited: 1})
    broker.configure(limited, {"max.message.bytes": "1000"})
    broker.configure(topic, {"cleanup.policy": "compact"})
    consumer, producer = consumer_of(broker), transactional(broker)
    write_in_transaction(producer, topic, [b"keyless"])

    def finish() -> None:
        send_offsets(producer, topic, consumer.consumer_group_metadata())
        producer.commit_transaction(LIMIT_S)

    with pytest.raises(KafkaException, match=topic) as refused:
        finish()
    assert (error_of(refused).code(), error_of(refused).txn_requires_abort()) == (KafkaError.INVALID_RECORD, True)
    producer.abort_transaction(LIMIT_S)
    producer.begin_transaction()
    producer.produce(limited, value=b"v" * 2_000, partition=0)
    with pytest.raises(KafkaException) as refused:
        producer.commit_transaction(LIMIT_S)
    assert error_of(refused).code() == KafkaError.MSG_SIZE_TOO_LARGE
    producer.abort_transaction(LIMIT_S)
    # This producer goes on nowhere: the client has counted the refused records, and the broker has not.
    assert (values(read(broker, topic)), values(read(broker, limited))) == ([], [])
