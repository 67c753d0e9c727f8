"""How far the workers' group is behind, and who is in it.

Committed offsets are asked for by a consumer that joins nothing: an admin client's question to a group's coordinator
ends the process where the broker goes away meanwhile (librdkafka 2.16, issue 4605). The members are known to no other
question; it is asked only where the coordinator has just answered.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaException, TopicPartition

from console.pipeline.errors import PipelineAway
from worker.kafka.client import KafkaAdmin, KafkaConsumer
from worker.kafka.errors import describe, kafka_error
from worker.kafka.high_watermark import high_watermarks
from worker.kafka.partition_range import Partition
from worker.kafka.ranges import partitions_of
from worker.settings.kafka import KafkaSettings

_TIMEOUT_S: Final = 5.0


class PartitionLag(NamedTuple):
    """One partition of the input topic."""

    partition: int
    committed: int | None
    """The next record to be judged; None where the group has committed nothing."""
    high: int
    """Behind the last record."""

    @property
    def lag(self) -> int | None:
        """Records without an outcome; None where the group has committed nothing."""
        return None if self.committed is None else max(0, self.high - self.committed)


class Member(NamedTuple):
    """A worker of the group."""

    host: str
    client_id: str
    partitions: list[int]


class GroupLag(NamedTuple):
    """What the brokers say of the group."""

    group: str
    topic: str
    partitions: list[PartitionLag]
    members: list[Member] | None
    """None where the rights do not reach that far."""

    @property
    def total(self) -> int | None:
        """Records without an outcome; None where the group has committed nothing anywhere."""
        known = [one.lag for one in self.partitions if one.lag is not None]
        return sum(known) if known else None

    def document(self) -> dict[str, Any]:
        """Return it for the page."""
        return {
            "group": self.group,
            "topic": self.topic,
            "total": self.total,
            "partitions": [{**one._asdict(), "lag": one.lag} for one in self.partitions],
            "members": None if self.members is None else [one._asdict() for one in self.members],
        }


def lag_of(places: Mapping[Partition, int], committed: Mapping[Partition, int]) -> list[PartitionLag]:
    """Return the lag of each partition, by its number. Pure.

    Args:
        places: By partition the offset behind its last record.
        committed: By partition the committed offset, where there is one.
    """
    return [PartitionLag(place[1], committed.get(place), high) for place, high in sorted(places.items())]


def look_at(admin: KafkaAdmin, reader: KafkaConsumer, settings: KafkaSettings) -> GroupLag:
    """Ask the brokers.

    Args:
        admin: Asks where partitions end, and for the members.
        reader: A consumer under the group's id, which has joined nothing.
        settings: Names topic and group.

    Raises:
        PipelineAway: they do not answer, or refuse.
    """
    topic, group = settings.input_topic, settings.group_id
    try:
        places = partitions_of(admin, [topic], timeout_s=_TIMEOUT_S)
        if not places:
            raise PipelineAway(f"Kafka lacks the topic {topic}; expected it; check the topic settings and the rights")
        highs = high_watermarks(admin, places, timeout=_TIMEOUT_S)
        found = reader.committed([TopicPartition(*place) for place in places], timeout=_TIMEOUT_S)
    except KafkaException as error:
        raise PipelineAway(f"asking for the lag of group {group}: {describe(kafka_error(error))}") from error
    committed = {(one.topic, one.partition): one.offset for one in found if one.error is None and one.offset >= 0}
    return GroupLag(group, topic, lag_of(highs, committed), _members(admin, group, topic))


def _members(admin: KafkaAdmin, group: str, topic: str) -> list[Member] | None:
    try:
        (asked,) = admin.describe_consumer_groups([group], request_timeout=_TIMEOUT_S).values()
        found = asked.result(2 * _TIMEOUT_S)
    except (KafkaException, TimeoutError):
        # Its lag is known without; an older broker, or fewer rights, need not hide that.
        return None
    return [
        Member(
            str(one.host).lstrip("/"),
            str(one.client_id),
            sorted(
                place.partition
                for place in (one.assignment.topic_partitions if one.assignment else ())
                if place.topic == topic
            ),
        )
        for one in found.members
    ]
