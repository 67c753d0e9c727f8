"""Partitions of several topics are followed from the caller's offsets, on both brokers."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from testkit.waiting import wait_until
from tests.broker_twin.clients import transactional
from tests.brokers import Broker, unique
from worker.errors import Degraded
from worker.kafka.places_follower import PlacesFollower
from worker.settings.kafka import KafkaSettings

AT_MS = 1_700_000_000_000


@pytest.fixture
def topics(broker: Broker) -> list[str]:
    """Create two topics of two partitions."""
    names = [unique("reviews"), unique("verdicts")]
    broker.create_topics(dict.fromkeys(names, 2))
    return names


@contextmanager
def following(broker: Broker) -> Iterator[PlacesFollower]:
    """Give what follows partitions."""
    config = {"group.id": unique("g"), "enable.partition.eof": True, "auto.offset.reset": "error"}
    settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    with closing(PlacesFollower(broker.consumer(config), settings)) as follower:
        yield follower


def write(broker: Broker, topic: str, *values: bytes, partition: int = 0) -> None:
    """Write records, a second apart."""
    producer = broker.producer({"enable.idempotence": True})
    for number, value in enumerate(values):
        producer.produce(topic, value=value, partition=partition, timestamp=AT_MS + 1_000 * number)
    assert producer.flush(30) == 0


def read(follower: PlacesFollower, n_records: int) -> list[bytes | None]:
    """Poll until so many records came."""
    found: list[bytes | None] = []

    def is_there() -> bool:
        found.extend(record.value for record in follower.poll(0.1))
        return len(found) >= n_records

    wait_until(is_there, timeout_s=60)
    return found


def test_each_partition_is_read_from_its_offset_on(broker: Broker, topics: list[str]) -> None:
    """And followed; the caller learns where it is to go on."""
    reviews, verdicts = topics
    write(broker, reviews, b"a", b"b", b"c")
    write(broker, verdicts, b"d", partition=1)
    with following(broker) as follower:
        places = {(reviews, 0): 1, (reviews, 1): 0, (verdicts, 0): 0, (verdicts, 1): 0}
        follower.begin(places)
        assert sorted(map(bytes, filter(None, read(follower, 3)))) == [b"b", b"c", b"d"]
        assert follower.next_offsets == {(reviews, 0): 3, (reviews, 1): 0, (verdicts, 0): 0, (verdicts, 1): 1}
        write(broker, reviews, b"e", partition=1)
        assert read(follower, 1) == [b"e"]
        assert follower.next_offsets[reviews, 1] == 1
        assert not follower.is_doubtful
        assert follower.probe()


def test_what_was_aborted_is_passed_by(broker: Broker, topics: list[str]) -> None:
    """Records and transaction markers count as read, or an end would be waited for that never comes."""
    topic = topics[0]
    producer = transactional(broker)
    producer.begin_transaction()
    producer.produce(topic, value=b"aborted", partition=0)
    producer.flush(30)
    producer.abort_transaction(30)
    with following(broker) as follower:
        follower.begin({(topic, 0): 0})
        wait_until(lambda: follower.poll(0.1) or follower.next_offsets[topic, 0] == 2, timeout_s=60)
        assert follower.next_offsets == {(topic, 0): 2}


def test_offsets_by_time_and_limits(broker: Broker, topics: list[str]) -> None:
    """A partition without a record that is young enough has no such offset."""
    reviews, verdicts = topics
    write(broker, reviews, b"a", b"b", b"c")
    with following(broker) as follower:
        held = follower.limits(topics)
        assert (held[reviews, 0].start, held[reviews, 0].end, held[verdicts, 1].end) == (0, 3, 0)
        assert follower.first_since([(reviews, 0), (reviews, 1)], AT_MS + 500) == {(reviews, 0): 1, (reviews, 1): None}
        assert follower.first_since([(reviews, 0)], AT_MS + 60_000) == {(reviews, 0): None}
        assert follower.first_since([], 0) == {}


def test_offsets_that_are_gone_are_told_and_not_jumped_over(broker: Broker, topics: list[str]) -> None:
    """Retention was quicker than the reader."""
    topic = topics[0]
    write(broker, topic, b"a", b"b", b"c")
    broker.delete_records(topic, 0, before=2)
    with following(broker) as follower:
        follower.begin({(topic, 0): 0})
        with pytest.raises(Degraded, match="not there any more"):
            wait_until(lambda: follower.poll(0.1), timeout_s=60)


def test_a_missing_topic_is_told(broker: Broker) -> None:
    """With its name."""
    with following(broker) as follower, pytest.raises(Degraded, match="no-such-topic"):
        follower.limits(["no-such-topic"])
