"""What a group has committed, with the notes beside the offsets, and how far it is behind."""

from collections.abc import Iterable
from typing import NamedTuple

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from worker.kafka.client import KafkaAdmin
from worker.kafka.partition_range import Partition


class Committed(NamedTuple):
    """A committed offset and the text that Kafka keeps beside it."""

    offset: int
    note: str | None


def committed_offsets(
    admin: KafkaAdmin, group_id: str, places: Iterable[Partition] | None = None, *, timeout_s: float
) -> dict[Partition, Committed]:
    """Return what a group has committed; a partition without a committed offset is left out.

    A transaction that is still open is not waited for: what it will commit shows at the next look.

    Args:
        admin: Admin client.
        group_id: The group.
        places: Partitions to ask for; by default all that it has committed.
        timeout_s: Longest wait for the answer.

    Raises:
        KafkaException: the brokers do not answer, or refuse.
    """
    partitions = None if places is None else [TopicPartition(*place) for place in places]
    asked = ConsumerGroupTopicPartitions(group_id, partitions)
    (future,) = admin.list_consumer_group_offsets([asked], require_stable=False, request_timeout=timeout_s).values()
    return {
        (found.topic, found.partition): Committed(found.offset, found.metadata)
        for found in future.result().topic_partitions
        if found.error is None and found.offset >= 0
    }


def group_lag(admin: KafkaAdmin, group_id: str, topic: str, *, timeout_s: float) -> int | None:
    """Return the records that a group has not committed yet; None where it has never committed anything.

    Raises:
        KafkaException: the brokers do not answer.
    """
    found = committed_offsets(admin, group_id, timeout_s=timeout_s)
    offsets = {place: one.offset for place, one in found.items() if place[0] == topic}
    if not offsets:
        return None
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    ends = admin.list_offsets({TopicPartition(*place): latest for place in offsets}, request_timeout=timeout_s)
    highs: dict[Partition, int] = {(end.topic, end.partition): answer.result().offset for end, answer in ends.items()}
    return sum(max(0, highs[place] - offset) for place, offset in offsets.items())
