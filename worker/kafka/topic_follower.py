"""Read a topic from its beginning to its end, and then follow it: every partition, in no group, committed records."""

from collections.abc import Iterator
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, Message, TopicPartition

from worker.errors import Fatal
from worker.kafka.client import KafkaConsumer, open_range_reader
from worker.kafka.config import consumer_config
from worker.kafka.errors import describe, fatal, fatal_while, is_fatal
from worker.kafka.retry import Passing
from worker.kafka.topic_scan import ScannedRecord, limits
from worker.process.seldom import Seldom
from worker.settings.kafka import KafkaSettings

log = structlog.get_logger()

_STEP_S: Final = 0.2
_STEP_RECORDS: Final = 500
_SAME_ERROR_EVERY_S: Final = 60.0


def open_follower(settings: KafkaSettings, topic: str, name: str) -> "TopicFollower":
    """Return what reads a topic.

    Args:
        settings: Kafka settings.
        topic: The topic.
        name: Goes behind the group id, for the brokers' access lists; no group is joined.
    """
    config: dict[str, Any] = consumer_config(settings) | {"group.id": f"{settings.group_id}.{name}"}
    # Under the worker's static name it could be taken for the worker.
    config.pop("group.instance.id", None)
    return TopicFollower(open_range_reader(config), topic, settings)


class TopicFollower:
    """Reads one topic. Used by one thread at a time.

    Args:
        client: A consumer that reports the ends of partitions.
        topic: The topic.
        settings: How long the brokers may be silent.
    """

    def __init__(self, client: KafkaConsumer, topic: str, settings: KafkaSettings) -> None:
        self._client = client
        self._topic = topic
        self._settings = settings
        self._next: dict[int, int] = {}
        self._ended: set[int] = set()
        """Partitions whose end was reached once. What a transaction that is open there holds comes later."""
        self._seldom = Seldom(_SAME_ERROR_EVERY_S)

    @property
    def n_partitions(self) -> int:
        """How many partitions the topic had when it was read whole."""
        return len(self._next)

    def read_whole(self) -> Iterator[list[ScannedRecord]]:
        """Yield in steps what the topic holds now, per partition in order; a step may be empty.

        Raises:
            Fatal: the brokers refuse, or stay silent for `request_timeout_s`.
        """
        timeout_s = self._settings.request_timeout_s
        with fatal_while(f"reading {self._topic}"):
            ranges = limits(self._client, self._topic, timeout_s=timeout_s)
        self._next = {one.partition: one.start for one in ranges}
        self._client.assign([TopicPartition(one.topic, one.partition, one.start) for one in ranges])
        silent_s, unknown = 0.0, Passing()
        while not self._ended.issuperset(self._next):
            messages = self._client.consume(_STEP_RECORDS, timeout=_STEP_S)
            silent_s = 0.0 if messages else silent_s + _STEP_S
            if silent_s > timeout_s:
                raise Fatal(
                    f"{self._topic}: silent for {timeout_s:.0f} s before its end; expected its records; check the "
                    "brokers"
                )
            yield self._taken(messages, unknown)

    def poll(self, timeout_s: float) -> list[ScannedRecord]:
        """Wait for a first record and return it with what came beside it; what goes wrong is logged, seldom."""
        first = self._client.poll(timeout_s)
        if first is None:
            return []
        return self._taken([first, *self._client.consume(_STEP_RECORDS, timeout=0)], None)

    def arrived(self) -> list[ScannedRecord]:
        """Return all that has come and was not returned yet, without waiting; faults are told as `poll` tells them."""
        records: list[ScannedRecord] = []
        while messages := self._client.consume(_STEP_RECORDS, timeout=0):
            records += self._taken(messages, None)
        return records

    def _taken(self, messages: list[Message], unknown: Passing | None) -> list[ScannedRecord]:
        """Return the records among messages.

        Args:
            messages: As the client gave them.
            unknown: How long a topic may be unknown; None where no error ends the reading.
        """
        records = []
        for message in messages:
            error = message.error()
            if error is None or error.code() == KafkaError._PARTITION_EOF:
                partition, offset = message.partition() or 0, message.offset() or 0
                # Behind the last record there may be transaction markers only, which the end tells.
                self._next[partition] = max(self._next.get(partition, 0), offset + (error is None))
            if error is None:
                records.append(ScannedRecord(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                self._ended.add(message.partition() or 0)
            else:
                if unknown is not None and is_fatal(error) and not unknown.may_pass(error):
                    raise fatal(error, f"reading {self._topic}")
                if self._seldom.due(error.code()):
                    log.warning("topic_not_followed", topic=self._topic, error=describe(error))
        return records

    def lag_records(self) -> int:
        """Return how many offsets are unread, by what the client knows."""
        lag = 0
        for partition, position in self._next.items():
            _, high = self._client.get_watermark_offsets(TopicPartition(self._topic, partition), cached=True)
            lag += max(0, high - position)
        return lag

    def close(self) -> None:
        """Release the connection."""
        self._client.close()
