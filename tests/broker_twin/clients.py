"""Consumers and producers of the contract tests, on either broker."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from tests.brokers import Broker, unique

LIMIT_S = 30.0
"""Longest wait for a broker to do what it must."""


def consumer_of(broker: Broker, group_id: str | None = None, **properties: Any) -> Consumer:
    """Return a consumer configured like the worker's; `a_b` in a keyword stands for `a.b`."""
    config = {
        "group.id": group_id or unique("group"),
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": 3_000,
        "heartbeat.interval.ms": 100,
    }
    return broker.consumer(config | {name.replace("_", "."): value for name, value in properties.items()})


def transactional(broker: Broker, transactional_id: str | None = None) -> Producer:
    """Return a producer whose transactions are initialised."""
    producer = broker.producer({"transactional.id": transactional_id or unique("id")})
    producer.init_transactions(LIMIT_S)
    return producer


def write(broker: Broker, topic: str, values: Iterable[bytes], *, partition: int = 0) -> None:
    """Write records outside of transactions."""
    producer = broker.producer({"enable.idempotence": True})
    for value in values:
        producer.produce(topic, value=value, partition=partition)
    assert producer.flush(LIMIT_S) == 0


def write_in_transaction(producer: Producer, topic: str, values: Iterable[bytes]) -> None:
    """Begin a transaction and have the broker take its records; it stays open."""
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value=value, partition=0)
    producer.flush(LIMIT_S)


def poll_until(consumer: Consumer, is_reached: Callable[[], bool], *others: Consumer) -> list[Message]:
    """Poll until a condition holds; return what came. Others are polled too, so that they take part in rebalances."""
    found: list[Message] = []
    deadline = time.monotonic() + LIMIT_S
    while not is_reached():
        assert time.monotonic() < deadline, f"not reached within {LIMIT_S} s; {len(found)} messages"
        found += [message for message in [consumer.poll(0.05)] if message is not None]
        for other in others:
            other.poll(0.05)
    return found


def take(consumer: Consumer, n_messages: int) -> list[Message]:
    """Return so many messages, ends of partitions and errors among them."""
    found: list[Message] = []
    deadline = time.monotonic() + LIMIT_S
    while len(found) < n_messages:
        assert time.monotonic() < deadline, f"{len(found)} messages of {n_messages} within {LIMIT_S} s"
        found += consumer.consume(n_messages - len(found), timeout=0.2)
    return found


def nothing_comes(consumer: Consumer) -> bool:
    """Say whether several polls bring nothing."""
    return all(consumer.poll(0.1) is None for _ in range(5))


def values(messages: Iterable[Message]) -> list[bytes | None]:
    """Return the values of records; ends and errors are left out."""
    return [message.value() for message in messages if message.error() is None]


def code_of(message: Message) -> int:
    """Return the error code of a message that is no record."""
    error = message.error()
    assert isinstance(error, KafkaError)
    return int(error.code())


class Member:
    """A subscribed consumer that notes its rebalances.

    Args:
        broker: The broker.
        topic: Topic to read.
        group_id: Its group.
        start: Where it begins in each partition.
        properties: See `consumer_of`.
    """

    def __init__(self, broker: Broker, topic: str, group_id: str, *, start: int = 0, **properties: Any) -> None:
        self.owned: set[int] = set()
        self.calls: list[tuple[str, list[int]]] = []
        self._topic = topic
        self._start = start
        self.client = consumer_of(broker, group_id, **properties)
        self.subscribe()

    def subscribe(self) -> None:
        """Subscribe, for the first time or again."""
        self.client.subscribe(
            [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    @property
    def kinds(self) -> list[str]:
        """The kinds of rebalances, in order, empty ones left out."""
        return [kind for kind, partitions in self.calls if partitions]

    def _on_assign(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        client.incremental_assign([TopicPartition(p.topic, p.partition, self._start) for p in partitions])
        self._note("assign", partitions)
        self.owned |= {p.partition for p in partitions}

    def _on_revoke(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        self._give_up("revoke", client, partitions)

    def _on_lost(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        self._give_up("lost", client, partitions)

    def _give_up(self, kind: str, client: Consumer, partitions: list[TopicPartition]) -> None:
        client.incremental_unassign(partitions)
        self._note(kind, partitions)
        self.owned -= {p.partition for p in partitions}

    def _note(self, kind: str, partitions: list[TopicPartition]) -> None:
        self.calls.append((kind, sorted(p.partition for p in partitions)))
