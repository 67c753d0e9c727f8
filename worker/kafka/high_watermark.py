"""Where partitions end now, asked of their leaders."""

from collections.abc import Iterable
from typing import Any, Final

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from worker.kafka.partition_range import Partition

_LARGEST_PARTITION: Final = 2**31 - 1


def high_watermark(admin: AdminClient, topic: str, partition: int, *, timeout_s: float = 2.0) -> int | None:
    """Return the offset after the last record, 0 where there is no such partition, None where no broker answers.

    Asked over the admin client. What the consumer remembers lags behind, and a worker that the group has dropped meets
    verdicts on records that came since. A question of the consumer's would wait behind its fetch, and beside a poll in
    another thread it never returns.
    """
    if not 0 <= partition <= _LARGEST_PARTITION:
        return 0
    place = TopicPartition(topic, partition)
    latest: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    try:
        asked = admin.list_offsets(
            {place: latest}, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=timeout_s
        )
        return int(asked[place].result().offset)
    except KafkaException:
        return None if _exists(admin, topic, partition, timeout_s=timeout_s) else 0


def high_watermarks(admin: AdminClient, places: Iterable[Partition], *, timeout: float) -> dict[Partition, int]:
    """Return the offset after the last record of each partition, of open transactions too.

    Raises:
        KafkaException: a leader does not answer within `timeout` seconds, or there is no such partition.
    """
    latest: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = admin.list_offsets(
        {TopicPartition(*place): latest for place in places},
        isolation_level=IsolationLevel.READ_UNCOMMITTED,
        request_timeout=timeout,
    )
    return {(place.topic, place.partition): int(answer.result().offset) for place, answer in asked.items()}


def _exists(admin: AdminClient, topic: str, partition: int, *, timeout_s: float) -> bool:
    """Say whether the topic has the partition, yes where nobody tells: one without a leader fails in the same way."""
    try:
        known = admin.list_topics(topic, timeout=timeout_s).topics[topic]
    except (KafkaException, KeyError):
        return True
    return known.error is not None or not known.partitions or partition in known.partitions
