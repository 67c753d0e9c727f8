"""Read topics from their first record on, as a downstream team does."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal, NamedTuple
from uuid import uuid4

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.admin import TopicMetadata  # type: ignore[attr-defined]

from tests.integration.polling import wait_until

Isolation = Literal["read_committed", "read_uncommitted"]


class ReadRecord(NamedTuple):
    """One record of an output topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, str]


def _record(message: Message) -> ReadRecord:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    headers = {
        str(name): bytes(value or b"").decode("utf-8", "backslashreplace") for name, value in message.headers() or []
    }  # type: ignore[str-unpack,arg-type]
    return ReadRecord(topic, partition, offset, message.key(), message.value(), headers)


def _open(bootstrap_servers: str, topics: Sequence[str], isolation: Isolation) -> tuple[Consumer, int]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"reader-{uuid4().hex}",
            "enable.auto.commit": False,
            # After an unclean end of the broker a reader may have to begin again.
            "auto.offset.reset": "earliest",
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 200,
            "log_level": 0,
        }
    )

    def listed() -> dict[str, TopicMetadata] | None:
        found = consumer.list_topics(timeout=20).topics
        return found if found.keys() >= set(topics) else None

    # The broker that answers may learn of a new topic after the one that made it.
    known = wait_until(listed, timeout_s=30, what=lambda: f"{topics} are not all listed")
    places = [TopicPartition(topic, p, OFFSET_BEGINNING) for topic in topics for p in known[topic].partitions]
    consumer.assign(places)
    return consumer, len(places)


def read_all(
    bootstrap_servers: str, topics: Sequence[str], isolation: Isolation = "read_committed"
) -> list[ReadRecord]:
    """Return every record that a reader of this isolation level sees now, per partition in order."""
    consumer, n_partitions = _open(bootstrap_servers, topics, isolation)
    found: list[ReadRecord] = []
    ended: set[tuple[str | None, int | None]] = set()
    while len(ended) < n_partitions:
        message = consumer.poll(20)
        if message is None:
            raise TimeoutError(f"{topics}: no end of every partition within 20 s; ended: {sorted(ended, key=str)}")
        error = message.error()
        if error is None:
            found.append(_record(message))
        elif error.code() == KafkaError._PARTITION_EOF:
            ended.add((message.topic(), message.partition()))
    consumer.close()
    return found


class TopicReader:
    """A reader that runs beside the test: what it has seen, it has seen, aborted later or not."""

    def __init__(self, bootstrap_servers: str, topics: Sequence[str], isolation: Isolation = "read_committed") -> None:
        self._consumer, _ = _open(bootstrap_servers, topics, isolation)
        self._stopping = threading.Event()
        self._found: dict[tuple[str, int, int], ReadRecord] = {}
        self.seen_at_s: dict[tuple[str, int, int], float] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            for message in self._consumer.consume(500, timeout=0.1):
                if message.error() is None:
                    record = _record(message)
                    # Before the record, so that who sees the record finds its time.
                    self.seen_at_s.setdefault(record[:3], time.monotonic())
                    self._found.setdefault(record[:3], record)

    @property
    def records(self) -> list[ReadRecord]:
        """What was seen so far, in the order in which it was seen; each place once."""
        return list(self._found.values())

    @property
    def n_records(self) -> int:
        """How many records were seen so far."""
        return len(self._found)

    def close(self) -> None:
        """Stop reading."""
        self._stopping.set()
        self._thread.join(10)
        with suppress(RuntimeError):
            self._consumer.close()
