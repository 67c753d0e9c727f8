"""The overrides topic is read whole, and then followed, on both brokers."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from schemas import CodecLimits, Decision, encode_override
from testkit.waiting import wait_until
from tests.brokers import Broker, unique
from tests.worker.overrides.parts import allow, override
from tests.worker.payloads import record
from worker.cache.verdict_cache import NoCache
from worker.decode import Decoder
from worker.errors import Degraded
from worker.kafka.record_fetch import RecordFetcher
from worker.kafka.topic_follower import TopicFollower
from worker.overrides.answers import Answers
from worker.overrides.follower import OverrideFollower
from worker.overrides.register import OverrideRegister
from worker.process.metrics import Metrics
from worker.settings.kafka import KafkaSettings


@pytest.fixture
def topic(broker: Broker) -> str:
    """Create a topic of three partitions."""
    name = unique("overrides")
    broker.create_topics({name: 3})
    return name


def follower_of(broker: Broker, topic: str) -> TopicFollower:
    """Return what follows a topic."""
    config = {"group.id": unique("g"), "enable.partition.eof": True, "auto.offset.reset": "earliest"}
    settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    return TopicFollower(broker.consumer(config), topic, settings)


def write(broker: Broker, topic: str, records: list[tuple[bytes, bytes | None]], *, partition: int = 0) -> None:
    """Write records with keys."""
    producer = broker.producer({"enable.idempotence": True})
    for key, value in records:
        producer.produce(topic, key=key, value=value, partition=partition)
    assert producer.flush(30) == 0


def test_a_topic_is_read_to_its_end_and_then_followed(broker: Broker, topic: str) -> None:
    """Of every partition; an empty one ends at once. What is unread shows as lag."""
    write(broker, topic, [(b"a", b"1"), (b"b", b"2")])
    write(broker, topic, [(b"c", b"3")], partition=2)
    with closing(follower_of(broker, topic)) as follower:
        whole = [one.key or b"" for records in follower.read_whole() for one in records]
        assert sorted(whole) == [b"a", b"b", b"c"]
        assert follower.lag_records() == 0
        write(broker, topic, [(b"d", None)], partition=1)
        found: list[tuple[bytes | None, bytes | None]] = []

        def is_there() -> bool:
            found.extend((one.key, one.value) for one in follower.poll(0.1))
            return bool(found)

        wait_until(is_there, timeout_s=60)
        assert found == [(b"d", None)]


def test_what_is_in_an_open_transaction_at_the_end_is_not_waited_for(broker: Broker, topic: str) -> None:
    """A writer that hangs must not keep workers from starting; its record comes when it commits."""
    write(broker, topic, [(b"a", b"1")])
    producer = broker.producer({"transactional.id": unique("id")})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, key=b"b", value=b"2", partition=0)
    producer.flush(30)
    with closing(follower_of(broker, topic)) as follower:
        assert [one.key for records in follower.read_whole() for one in records] == [b"a"]
        producer.commit_transaction(30)
        found: list[bytes | None] = []

        def is_there() -> bool:
            found.extend(one.key for one in follower.poll(0.1))
            return bool(found)

        wait_until(is_there, timeout_s=60)
        assert found == [b"b"]


@pytest.fixture
def fetcher(broker: Broker) -> Iterator[RecordFetcher]:
    """Return what fetches records."""
    config = {"group.id": unique("g"), "enable.partition.eof": True, "auto.offset.reset": "earliest"}
    with closing(RecordFetcher(broker.consumer(config), timeout_s=60)) as found:
        yield found


def test_a_record_is_fetched_by_its_place(broker: Broker, topic: str, fetcher: RecordFetcher) -> None:
    """One that retention took, or that is not there yet, is none; nor is another one in its place."""
    write(broker, topic, [(b"k", b"%d" % i) for i in range(5)], partition=1)
    found = fetcher.fetch((topic, 1, 3))
    assert found is not None
    assert (found.value, found.place) == (b"3", (topic, 1, 3))
    assert fetcher.fetch((topic, 1, 5)) is None
    assert fetcher.fetch((topic, 0, 0)) is None
    broker.delete_records(topic, 1, before=4)
    assert fetcher.fetch((topic, 1, 3)) is None
    again = fetcher.fetch((topic, 1, 4))
    assert again is not None
    assert again.value == b"4"


def test_a_topic_that_is_not_there_is_no_record_that_is_gone(fetcher: RecordFetcher) -> None:
    """It may be that nobody knows it for a moment: the record is asked for again."""
    with pytest.raises(Degraded):
        fetcher.fetch((unique("nowhere"), 0, 0))


def test_an_override_is_known_before_the_first_batch_and_a_later_one_soon(broker: Broker, topic: str) -> None:
    """Both are prepared for the loop, in partitions of this worker; the gauges show them."""
    events = unique("chat-events")
    broker.create_topics({events: 1})
    write(broker, events, [(b"key", record(offset).value) for offset in range(9)])
    now = datetime.now(UTC)
    source = override().source.model_copy(update={"topic": events})
    block = override(decided_at=now, source=source)
    later = allow(
        "chat-8",
        decided_at=now,
        expires_at=now + timedelta(hours=1),
        scope="chat",
        source=source.model_copy(update={"offset": 8}),
    )
    write(broker, topic, [(block.key, encode_override(block))])
    metrics = Metrics()
    register = OverrideRegister((), metrics)
    config = {"group.id": unique("g"), "enable.partition.eof": True, "auto.offset.reset": "earliest"}
    records = RecordFetcher(broker.consumer(config), timeout_s=60)
    answers = Answers(records, Decoder(CodecLimits()), NoCache(), metrics)
    follower = OverrideFollower(follower_of(broker, topic), records, register, answers, metrics)
    follower.read_whole()
    assert register.of("chat-7") == (block,)
    follower.start(lambda place: place == (events, 0))
    write(broker, topic, [(later.key, encode_override(later))], partition=2)
    found: list[str] = []

    def are_ready() -> bool:
        rows = answers.take(lambda _: True)
        found.extend(row.event.chat.chat_id for row in rows if row.event is not None)
        answers.answered(rows)
        return len(found) == 2

    wait_until(are_ready, timeout_s=60)
    assert sorted(found) == ["chat-7", "chat-8"]
    assert register.of("chat-8")[0].decision is Decision.ALLOW
    wait_until(lambda: metrics.registry.get_sample_value("moderation_overrides_in_force") == 2, timeout_s=60)
    assert metrics.registry.get_sample_value("moderation_overrides_last_read_timestamp_seconds")
    follower.close()
