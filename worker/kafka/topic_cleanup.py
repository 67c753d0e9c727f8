"""What takes records out of a topic, and by when: asked of the brokers, then reckoned."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import ConfigResource, ResourceType  # type: ignore[attr-defined]

from worker.kafka.client import KafkaAdmin
from worker.kafka.errors import kafka_error

_COMPACT: Final = "compact"
_DELETE: Final = "delete"
_ENDLESS_MS: Final = 100 * 365 * 86_400_000
"""What is set to be longer, Kafka's own "no limit" among it, is no bound."""
_LOOK_EVERY_MS: Final = 300_000
"""Brokers look for old segments this often (log.retention.check.interval.ms, by default)."""


class Cleanup(NamedTuple):
    """How records leave one topic. Times are in ms."""

    policies: frozenset[str]
    """`delete`, `compact` or both."""
    retention_ms: int
    """Age at which records are deleted; negative: never."""
    segment_ms: int
    """A file of a partition takes records for so long, and is deleted when its newest one is too old."""
    max_compaction_lag_ms: int
    """What a newer record of its key has replaced is taken out so much later at most."""
    delete_retention_ms: int
    """How long a tombstone stays once it has taken effect."""

    @property
    def is_compacted(self) -> bool:
        """Whether a tombstone takes out what is there under its key."""
        return _COMPACT in self.policies

    @property
    def gone_after_ms(self) -> int | None:
        """How long after a tombstone, at most, the records under its key, and it, are still there; None: no bound."""
        bounds = [_ENDLESS_MS]
        if _DELETE in self.policies and self.retention_ms >= 0:
            bounds.append(self.retention_ms + self.segment_ms + _LOOK_EVERY_MS)
        if self.is_compacted:
            # The tombstone itself holds the key: it leaves with a later compaction.
            bounds.append(2 * self.max_compaction_lag_ms + self.delete_retention_ms)
        soonest = min(bounds)
        return None if soonest == _ENDLESS_MS else soonest


def cleanup_of(admin: KafkaAdmin, topic: str, *, timeout_s: float) -> Cleanup | None:
    """Return how records leave a topic; None where this user may not ask.

    Raises:
        KafkaException: the brokers do not answer.
    """
    resource = ConfigResource(ResourceType.TOPIC, topic)
    (future,) = admin.describe_configs([resource], request_timeout=timeout_s).values()
    try:
        config = {name: entry.value for name, entry in future.result().items()}
    except KafkaException as error:
        if kafka_error(error).code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return None
        raise
    return cleanup_in(config)


def cleanup_in(config: Mapping[str, str | None]) -> Cleanup:
    """Return how records leave a topic with these settings. Pure."""
    return Cleanup(
        policies=frozenset(str(config["cleanup.policy"]).replace(" ", "").split(",")),
        retention_ms=_number(config, "retention.ms"),
        segment_ms=_number(config, "segment.ms"),
        max_compaction_lag_ms=_number(config, "max.compaction.lag.ms"),
        delete_retention_ms=_number(config, "delete.retention.ms"),
    )


def _number(config: Mapping[str, str | None], name: str) -> int:
    return int(str(config[name]))
