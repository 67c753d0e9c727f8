"""The two brokers on which the same tests run: the real one and its twin in memory.

A test takes the fixture `broker` and gets both, one after the other; topics and groups are its own.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Protocol
from uuid import uuid4

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from deploy.local.kafka_topics import admin_client, create_topics
from testkit.waiting import wait_until

QUICK_SESSIONS = {
    # A killed worker's partitions are free after 3 s; Kafka's own lower limit of 6 s would double the tests' time.
    "group.min.session.timeout.ms": "1000",
    # The same for the consumer protocol (KIP-848), whose sessions are the broker's business; Kafka: 45 s and 5 s.
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "3000",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "500",
}
"""Broker settings under which a dead member is noticed soon."""


class Broker(Protocol):
    """What a test needs of a broker."""

    bootstrap_servers: str

    def create_topics(self, topics: Mapping[str, int]) -> None:
        """Create topics: name to number of partitions."""

    def configure(self, topic: str, settings: Mapping[str, str]) -> None:
        """Change a topic's settings."""

    def delete_records(self, topic: str, partition: int, *, before: int) -> None:
        """Delete a partition's records before an offset, as retention does."""

    def consumer(self, config: Mapping[str, Any]) -> Consumer:
        """Return a consumer with these librdkafka properties."""

    def producer(self, config: Mapping[str, Any]) -> Producer:
        """Return a producer with these librdkafka properties."""


class RealBroker:
    """A broker that runs.

    Args:
        bootstrap_servers: Its address.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self._admin: AdminClient = admin_client(bootstrap_servers)
        self._consumers: list[Consumer] = []

    def create_topics(self, topics: Mapping[str, int]) -> None:
        """Create topics; records with timestamps long past stay in them."""
        create_topics(self._admin, topics, copies=1, settings={"retention.ms": "-1"})

    def configure(self, topic: str, settings: Mapping[str, str]) -> None:
        """Change a topic's settings."""
        configure_topic(self._admin, topic, settings)

    def delete_records(self, topic: str, partition: int, *, before: int) -> None:
        """Delete a partition's records before an offset, as retention does."""
        for future in self._admin.delete_records([TopicPartition(topic, partition, before)]).values():
            future.result(timeout=10)

    def consumer(self, config: Mapping[str, Any]) -> Consumer:
        """Return a consumer."""
        consumer = Consumer(self._quick | config | {"bootstrap.servers": self.bootstrap_servers})
        self._consumers.append(consumer)
        return consumer

    def producer(self, config: Mapping[str, Any]) -> Producer:
        """Return a producer."""
        return Producer(self._quick | config | {"bootstrap.servers": self.bootstrap_servers})

    def close(self) -> None:
        """Close what a test that failed has left open: a subscribed consumer that is only dropped may hang for ever."""
        for consumer in self._consumers:
            with suppress(RuntimeError):  # it is closed
                consumer.close()

    @property
    def _quick(self) -> dict[str, Any]:
        return {"log_level": 0, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200}


def configure_topic(admin: AdminClient, topic: str, settings: Mapping[str, str]) -> None:
    """Change a topic's settings on a broker that runs."""
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in settings.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(timeout=10)

    def is_known() -> bool:
        (asked,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
        found = asked.result(timeout=10)
        return all(found[name].value == value for name, value in settings.items())

    # The answer to the change comes before the broker goes by it.
    wait_until(is_known, timeout_s=10)


def unique(name: str) -> str:
    """Return a name of a topic or a group that no other test has."""
    return f"{name}-{uuid4().hex[:8]}"


def read(broker: Broker, topic: str, *, isolation: str = "read_committed") -> list[Message]:
    """Return the records of a topic that a reader of this isolation level sees now, per partition in order."""
    return [message for message in _messages(broker, topic, isolation) if message.error() is None]


def _messages(broker: Broker, topic: str, isolation: str) -> Iterator[Message]:
    config = {
        "group.id": unique("reader"),
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": isolation,
        "enable.partition.eof": True,
    }
    consumer = broker.consumer(config)
    open_ = set(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in open_])
    while open_:
        message = consumer.poll(10)
        assert message is not None, f"{topic}: no end of partitions {open_}"
        error = message.error()
        if error is not None:
            assert error.code() == KafkaError._PARTITION_EOF, error
            open_.discard(message.partition())
        yield message
    consumer.close()
