"""What a topic has kept, and what deletes its records."""

from typing import Final, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import ConfigResource, OffsetSpec, ResourceType  # type: ignore[attr-defined]

from worker.kafka.client import KafkaAdmin
from worker.kafka.ranges import list_offsets, partitions_of

_NO_SIZE_LIMIT: Final = "-1"


class Kept(NamedTuple):
    """What one partition of a topic holds."""

    n_deleted: int
    """Offsets that were deleted; 0 where everything is kept."""
    oldest_ms: int | None
    """Timestamp of the oldest record; None where there is none."""


def kept_records(admin: KafkaAdmin, topic: str, *, timeout_s: float) -> list[Kept]:
    """Return what each partition holds.

    Raises:
        KafkaException: the brokers do not answer.
    """
    places = sorted(partitions_of(admin, [topic], timeout_s=timeout_s))
    lows = list_offsets(admin, places, OffsetSpec.earliest(), timeout_s=timeout_s)  # type: ignore[no-untyped-call]
    firsts = list_offsets(admin, places, OffsetSpec.for_timestamp(0), timeout_s=timeout_s)
    return [
        Kept(lows[place].offset, firsts[place].timestamp_ms if firsts[place].offset >= 0 else None) for place in places
    ]


def retention_ms(admin: KafkaAdmin, topic: str, *, timeout_s: float) -> int | None:
    """Return the age at which records are deleted; None where something else deletes too, or nobody may know."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    (future,) = admin.describe_configs([resource], request_timeout=timeout_s).values()
    try:
        config = future.result()
    except KafkaException:
        # A right of its own, without which the oldest dead letter decides.
        return None
    age_ms = int(config["retention.ms"].value)
    is_age_only = (
        config["cleanup.policy"].value == "delete" and config["retention.bytes"].value == _NO_SIZE_LIMIT and age_ms >= 0
    )
    return age_ms if is_age_only else None
