"""A compacted topic that holds one value for each key, written once, whichever process comes first.

Compare-and-set with Kafka's own means: whoever wants to write initialises one transactional id shared by all, which
ends what its predecessors left open and fences them; reads the topic to its end; and only then writes. A writer that
was overtaken is fenced at its commit and looks again. The value and the group's start offsets are one transaction, so a
partition without a committed offset can only mean that the group has forgotten it.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import structlog
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import ConfigResource, ResourceType  # type: ignore[attr-defined]

from worker.errors import Fatal
from worker.kafka.client import KafkaAdmin, open_lookup_consumer, open_producer
from worker.kafka.committed import Committed
from worker.kafka.config import consumer_config
from worker.kafka.errors import FENCED, describe, fatal, fatal_while, is_fatal, kafka_error, refused_for_good
from worker.kafka.partition_range import Partition
from worker.kafka.retry import Passing
from worker.kafka.topic_scan import ScannedRecord, limits, scan
from worker.settings.kafka import KafkaSettings

log = structlog.get_logger()

T = TypeVar("T")

_MAX_VALUE_BYTES: Final = 900_000


@dataclass(frozen=True)
class Codec(Generic[T]):
    """How a value travels."""

    decode: Callable[[ScannedRecord], T | None]
    """Returns None where a later release wrote the record, which is then left alone; raises Fatal where it holds no
    value at all."""
    encode: Callable[[T], bytes]
    starts: Callable[[T], Mapping[Partition, Committed]]
    """The offsets that the group begins at, committed with a value that is the first of its key."""


class ControlTopic(Generic[T]):
    """Reads and writes the topic.

    Args:
        settings: Kafka settings; their group is the one whose start offsets are committed.
        topic: The topic.
        codec: How a value travels.
        transactional_id: Shared by all who write.
    """

    def __init__(self, settings: KafkaSettings, topic: str, codec: Codec[T], *, transactional_id: str) -> None:
        self._settings = settings
        self._topic = topic
        self._codec = codec
        self._transactional_id = transactional_id
        self._client = open_lookup_consumer(settings)
        self._later: set[str] = set()
        """Keys whose last record a later release wrote."""

    def read(self) -> dict[str, T]:
        """Return everything that is stored and understood, by key.

        Raises:
            Fatal: the brokers do not answer, or a record is not one of this version.
        """
        timeout_s = self._settings.request_timeout_s
        with fatal_while(f"reading {self._topic}"):
            ranges = limits(self._client, self._topic, timeout_s=timeout_s)
        stored: dict[str, T] = {}
        self._later.clear()
        for records in scan(consumer_config(self._settings), ranges, timeout_s=timeout_s):
            for record in records:
                key = (record.key or b"").decode("utf-8", "replace")
                stored.pop(key, None)
                self._later.discard(key)
                if record.value is None:
                    continue
                if (value := self._codec.decode(record)) is None:
                    self._later.add(key)
                else:
                    stored[key] = value
        return stored

    def _read_for(self, key: str) -> dict[str, T]:
        """Read on behalf of one key.

        Raises:
            Fatal: as `read`, or a later release wrote what is stored under the key.
        """
        stored = self.read()
        if key in self._later:
            raise Fatal(
                f"{self._topic}: what is stored under {key!r} is of a format that this release does not know; expected "
                "its own or an earlier one; use the release that wrote it, or another id"
            )
        return stored

    def settle(self, key: str, draft: Callable[[Mapping[str, T]], T], *, is_settled: Callable[[T], bool]) -> T:
        """Return what is stored under a key; write it first where it is not there yet.

        Args:
            key: The key.
            draft: Makes what to write out of all that was written before; called again after every lost race.
            is_settled: Says whether what is found needs no writing.

        Raises:
            Fatal: the brokers do not answer in time, or refuse; or a later release wrote what is stored.
        """
        deadline = time.monotonic() + self._settings.unreachable_exit_s
        unknown = Passing()
        while True:
            found = self._read_for(key).get(key)
            if found is not None and is_settled(found):
                return found
            try:
                written = self._try_to_write(key, draft, is_settled)
            except KafkaException as error:
                cause = kafka_error(error)
                if is_fatal(cause) and cause.code() not in FENCED and not unknown.may_pass(cause):
                    group = self._settings.group_id
                    raise fatal(cause, f"writing {self._topic} as {self._transactional_id}, group {group}") from error
                if (refusal := refused_for_good(cause, f"writing {self._topic}")) is not None:
                    raise refusal from error
                if time.monotonic() > deadline:
                    raise Fatal(f"writing {self._topic}: no success in time: {describe(cause)}") from error
                log.info("plan_race_lost", error=describe(cause))
                # Long enough for the one who won to commit, and not the same for all who lost.
                time.sleep(random.uniform(0.2, 1.5))  # noqa: S311  spreads retries, no secret
            else:
                return written

    def _try_to_write(self, key: str, draft: Callable[[Mapping[str, T]], T], is_settled: Callable[[T], bool]) -> T:
        producer = open_producer(
            self._settings,
            transactional_id=self._transactional_id,
            max_message_bytes=_MAX_VALUE_BYTES,
            min_message_bytes=_MAX_VALUE_BYTES,
        )
        wait_s = self._settings.request_timeout_s
        producer.init_transactions(wait_s)
        stored = self._read_for(key)
        if key in stored and is_settled(stored[key]):
            return stored[key]
        drafted = draft(stored)
        producer.begin_transaction()
        producer.produce(self._topic, key=key.encode(), value=self._codec.encode(drafted))
        if key not in stored:
            starts = [TopicPartition(*place, *start) for place, start in self._codec.starts(drafted).items()]
            producer.send_offsets_to_transaction(starts, self._client.consumer_group_metadata(), wait_s)
        producer.commit_transaction(wait_s)
        return drafted

    def close(self) -> None:
        """Release the connection."""
        self._client.close()


def check_is_compacted(
    admin: KafkaAdmin, topic: str, *, timeout_s: float, lost: str = "finished replays are forgotten"
) -> None:
    """Check that a topic keeps the last record of each key for good.

    Args:
        admin: Admin client.
        topic: The topic.
        timeout_s: Longest wait for the answer.
        lost: What happens where it does not, for the error.

    Raises:
        Fatal: it deletes records by age: a finished redrive, say, would be forgotten and done again.
    """
    resource = ConfigResource(ResourceType.TOPIC, topic)
    (future,) = admin.describe_configs([resource], request_timeout=timeout_s).values()
    try:
        policy: Any = future.result()["cleanup.policy"].value
    except KafkaException as error:
        log.warning(
            "control_topic_unchecked",
            topic=topic,
            error=describe(kafka_error(error)),
            remedy=f"grant DescribeConfigs on it, or see to it that its cleanup.policy is compact: else {lost}",
        )
        return
    if policy != "compact":
        raise Fatal(
            f"{topic}: cleanup.policy is {policy}; expected compact, or {lost}; set it with "
            f"`kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config cleanup.policy=compact`"
        )
