"""What a consumer that was given partitions sees; on the twin and on a real broker."""

import pytest
from confluent_kafka import OFFSET_BEGINNING, OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition

from tests.broker_twin.clients import (
    LIMIT_S,
    code_of,
    consumer_of,
    nothing_comes,
    take,
    transactional,
    values,
    write,
    write_in_transaction,
)
from tests.brokers import Broker, read, unique


@pytest.fixture
def topic(broker: Broker) -> str:
    """Create a topic with one partition."""
    name = unique("events")
    broker.create_topics({name: 1})
    return name


def fetching(broker: Broker, topic: str, start: int = 0, **properties: object) -> Consumer:
    """Return a consumer that fetches partition 0 from an offset on."""
    consumer = consumer_of(broker, **properties)
    consumer.assign([TopicPartition(topic, 0, start)])
    return consumer


def test_a_record_comes_as_it_was_written(broker: Broker, topic: str) -> None:
    """Key, value, headers in their order, timestamp, place."""
    headers = [("a", b"1"), ("b", None), ("a", b"2")]
    producer = broker.producer({})
    producer.produce(topic, value=b"v", key=b"k", headers=headers, partition=0, timestamp=1_234)
    producer.produce(topic, value=None, partition=0)
    producer.flush(LIMIT_S)
    record, tombstone = take(fetching(broker, topic), 2)
    assert (record.topic(), record.partition(), record.offset()) == (topic, 0, 0)
    assert (record.key(), record.value(), record.headers(), record.timestamp()[1]) == (b"k", b"v", headers, 1_234)
    assert (tombstone.offset(), tombstone.key(), tombstone.value(), tombstone.headers()) == (1, None, None, None)


def test_no_more_come_than_are_asked_for_and_in_order(broker: Broker, topic: str) -> None:
    """The rest comes next."""
    write(broker, topic, [b"%d" % i for i in range(5)])
    consumer = fetching(broker, topic)
    first = consumer.consume(2, timeout=LIMIT_S)
    assert len(first) <= 2
    assert values([*first, *take(consumer, 5 - len(first))]) == [b"0", b"1", b"2", b"3", b"4"]


def test_nothing_behind_an_open_transaction_is_seen_until_it_ends(broker: Broker, topic: str) -> None:
    """Not even what others wrote outside of it."""
    producer = transactional(broker)
    write_in_transaction(producer, topic, [b"open"])
    write(broker, topic, [b"behind"])
    consumer = fetching(broker, topic)
    assert nothing_comes(consumer)
    assert values(read(broker, topic, isolation="read_uncommitted")) == [b"open", b"behind"]
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=LIMIT_S) == (0, 0)
    producer.commit_transaction(LIMIT_S)
    assert values(take(consumer, 2)) == [b"open", b"behind"]


def test_an_aborted_transaction_leaves_offsets_and_no_records(broker: Broker, topic: str) -> None:
    """Two records and the marker behind them; a marker stands behind a committed transaction, too."""
    producer = transactional(broker)
    write_in_transaction(producer, topic, [b"1", b"2"])
    producer.abort_transaction(LIMIT_S)
    write_in_transaction(producer, topic, [b"3"])
    producer.commit_transaction(LIMIT_S)
    found = read(broker, topic)
    assert [(message.offset(), message.value()) for message in found] == [(3, b"3")]
    assert fetching(broker, topic).get_watermark_offsets(TopicPartition(topic, 0), timeout=LIMIT_S) == (0, 5)


def test_the_end_of_a_partition_lies_behind_the_markers_and_is_told_each_time(broker: Broker, topic: str) -> None:
    """A replay's range may end with offsets that hold no record."""
    producer = transactional(broker)
    write_in_transaction(producer, topic, [b"1"])
    producer.commit_transaction(LIMIT_S)
    consumer = fetching(broker, topic, enable_partition_eof=True)
    _, end = take(consumer, 2)
    assert (code_of(end), end.topic(), end.partition(), end.offset()) == (KafkaError._PARTITION_EOF, topic, 0, 2)
    assert nothing_comes(consumer)
    write(broker, topic, [b"2"])
    record, end = take(consumer, 2)
    assert (record.offset(), code_of(end), end.offset()) == (2, KafkaError._PARTITION_EOF, 3)


def test_a_position_lies_behind_the_last_record_handed_out(broker: Broker, topic: str) -> None:
    """Not behind the marker that follows it; and there is none before the first record."""
    producer = transactional(broker)
    write_in_transaction(producer, topic, [b"1", b"2"])
    producer.commit_transaction(LIMIT_S)
    consumer = fetching(broker, topic)
    place = TopicPartition(topic, 0)
    assert consumer.position([place])[0].offset == OFFSET_INVALID
    take(consumer, 2)
    assert consumer.position([place])[0].offset == 2
    assert consumer.get_watermark_offsets(place, cached=True)[1] == 3


def test_a_consumer_goes_back_where_it_is_told_to(broker: Broker, topic: str) -> None:
    """After an aborted batch."""
    write(broker, topic, [b"0", b"1", b"2"])
    consumer = fetching(broker, topic)
    take(consumer, 3)
    consumer.seek(TopicPartition(topic, 0, 1))
    assert values(take(consumer, 2)) == [b"1", b"2"]


def test_a_partition_that_was_never_fetched_cannot_be_gone_back_in(broker: Broker, topic: str) -> None:
    """Who seeks must own it."""
    consumer = consumer_of(broker)
    with pytest.raises(KafkaException) as refused:
        consumer.seek(TopicPartition(topic, 0, 0))
    assert refused.value.args[0].code() == KafkaError._UNKNOWN_PARTITION


def test_a_paused_partition_gives_nothing_until_it_is_resumed(broker: Broker, topic: str) -> None:
    """And loses nothing."""
    consumer = fetching(broker, topic)
    consumer.pause([TopicPartition(topic, 0)])
    write(broker, topic, [b"0"])
    assert nothing_comes(consumer)
    consumer.resume([TopicPartition(topic, 0)])
    assert values(take(consumer, 1)) == [b"0"]


def test_a_start_that_was_deleted_is_an_error_and_stops_the_partition(broker: Broker, topic: str) -> None:
    """A jump would lose records silently; to be assigned again starts the partition again."""
    write(broker, topic, [b"0", b"1", b"2"])
    broker.delete_records(topic, 0, before=2)
    consumer = fetching(broker, topic)
    (error,) = take(consumer, 1)
    assert (code_of(error), error.topic(), error.partition()) == (KafkaError._AUTO_OFFSET_RESET, topic, 0)
    assert nothing_comes(consumer)
    place = TopicPartition(topic, 0, 2)
    assert consumer.get_watermark_offsets(place, timeout=LIMIT_S) == (2, 3)
    consumer.incremental_unassign([place])
    consumer.incremental_assign([place])
    assert values(take(consumer, 1)) == [b"2"]


def test_a_reader_may_begin_at_what_is_left(broker: Broker, topic: str) -> None:
    """Whatever was deleted."""
    write(broker, topic, [b"0", b"1", b"2"])
    broker.delete_records(topic, 0, before=1)
    assert values(take(fetching(broker, topic, OFFSET_BEGINNING), 2)) == [b"1", b"2"]


def test_a_topic_is_listed_with_its_partitions_and_an_unknown_one_with_its_error(broker: Broker) -> None:
    """No topic is made by asking for it."""
    known, unknown = unique("known"), unique("unknown")
    broker.create_topics({known: 3})
    consumer = consumer_of(broker)
    found = consumer.list_topics(known, timeout=LIMIT_S).topics[known]
    assert (found.error, sorted(found.partitions)) == (None, [0, 1, 2])
    error = consumer.list_topics(unknown, timeout=LIMIT_S).topics[unknown].error
    assert error is not None
    assert error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
