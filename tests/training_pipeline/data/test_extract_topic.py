"""A real Kafka topic between two times to conversations."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from deploy.local import LocalStack
from tests.training_pipeline.data.chat_files import chat, read_lines, rejects_of
from training_pipeline.data.errors import DataError
from training_pipeline.data.extract import extract_topic
from training_pipeline.data.kafka_range import KafkaRangeReader, KafkaRequest, to_ms

pytestmark = pytest.mark.services

START_MS = to_ms(datetime(2026, 11, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """One broker for all tests of this file."""
    with LocalStack() as running:
        yield running


@pytest.fixture
def topic(stack: LocalStack) -> str:
    """Fill a topic of three partitions with a chat a minute for 3,000 minutes, and one bad record."""
    name = f"chat-events-{uuid4().hex[:8]}"
    # These records are older than a topic keeps records by default, and the broker looks every five minutes.
    stack.kafka.create_topics({name: 3}, config={"retention.ms": "-1"})
    # A retry of a producer without idempotence puts records behind later ones, and times into disorder.
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers, "enable.idempotence": True})
    for i in range(3_000):
        value = b"not json" if i == 1_500 else orjson.dumps(chat(f"chat-{i}", f"question {i}"))
        producer.produce(name, value, partition=i % 3, timestamp=START_MS + i * 60_000)
        producer.poll(0)
    producer.flush()
    return name


def request(topic: str, first_minute: int, last_minute: int | None) -> KafkaRequest:
    """Ask for the minutes from the first to before the last."""
    until_ms = None if last_minute is None else START_MS + last_minute * 60_000
    return KafkaRequest(topic=topic, since_ms=START_MS + first_minute * 60_000, until_ms=until_ms)


def test_exactly_the_records_between_two_times_are_extracted(stack: LocalStack, topic: str, tmp_path: Path) -> None:
    """A day's retraining data must be that day's, and no record may be lost at a partition's edge."""
    out = tmp_path / "out.jsonl"
    with KafkaRangeReader({"bootstrap.servers": stack.bootstrap_servers}) as reader:
        report = extract_topic(reader, request(topic, 1_000, 2_000), out, last_messages=12)
    rows = read_lines(out)
    assert {row["chat_id"] for row in rows} == {f"chat-{i}" for i in range(1_000, 2_000) if i != 1_500}
    assert len(rows) == report.n_written == 999
    assert rejects_of(out) == {f"{topic}[0]@500": "decode_error"}
    assert all(row["timestamp_ms"] == START_MS + int(row["chat_id"][5:]) * 60_000 for row in rows)


def test_an_interrupted_extraction_of_a_topic_goes_on_with_the_same_range(
    stack: LocalStack, topic: str, tmp_path: Path
) -> None:
    """Records that arrive between two attempts must not slip into a range that was fixed before."""
    out = tmp_path / "out.jsonl"

    def interrupt(n_done: int, _total: int) -> None:
        if n_done > 2_200:
            raise KeyboardInterrupt

    with KafkaRangeReader({"bootstrap.servers": stack.bootstrap_servers}) as reader, pytest.raises(KeyboardInterrupt):
        extract_topic(reader, request(topic, 0, None), out, last_messages=12, on_progress=interrupt)
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers, "enable.idempotence": True})
    producer.produce(topic, orjson.dumps(chat("late", "too late")), timestamp=START_MS + 10**9)
    producer.flush()
    first_done: list[int] = []
    with KafkaRangeReader({"bootstrap.servers": stack.bootstrap_servers}) as reader:
        extract_topic(
            reader, request(topic, 0, None), out, last_messages=12, on_progress=lambda done, _: first_done.append(done)
        )
    ids = [row["chat_id"] for row in read_lines(out)]
    assert sorted(ids) == sorted(f"chat-{i}" for i in range(3_000) if i != 1_500)
    assert first_done[0] > 1_000, "the second attempt read everything again"


def test_records_that_retention_deleted_before_the_extraction_are_counted(
    stack: LocalStack, topic: str, tmp_path: Path
) -> None:
    """A range whose beginning is gone must not pass for a complete one; one that begins later is complete."""
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    (deleted,) = admin.delete_records([TopicPartition(topic, 1, 40)]).values()
    deleted.result(timeout=20)
    reports = {}
    for first_minute in (0, 500):
        out = tmp_path / f"from-{first_minute}.jsonl"
        with KafkaRangeReader({"bootstrap.servers": stack.bootstrap_servers}) as reader:
            reports[first_minute] = extract_topic(reader, request(topic, first_minute, 900), out, last_messages=12)
    assert reports[0].details == {"n_deleted_offsets": {"1": 40}}
    assert reports[0].n_written == 900 - 40
    assert reports[500].details == {}
    assert reports[500].n_written == 400


def test_an_unknown_topic_is_refused_by_name(stack: LocalStack, tmp_path: Path) -> None:
    """A typo must not extract nothing in silence."""
    reading = KafkaRangeReader({"bootstrap.servers": stack.bootstrap_servers})
    with reading as reader, pytest.raises(DataError, match="no-such-topic"):
        extract_topic(reader, request("no-such-topic", 0, None), tmp_path / "out.jsonl", last_messages=12)
