"""What the output topics hold: offsets of a time span, and from when on the dead letters are complete."""

from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType  # type: ignore[attr-defined]

from worker.errors import Fatal
from worker.kafka.errors import fatal, kafka_error
from worker.kafka.partition_range import PartitionRange, Span
from worker.kafka.ranges import fix_ranges
from worker.project.dead_letter_floor import KeptLetters, complete_from_ms
from worker.settings.kafka import KafkaSettings

_NO_SIZE_LIMIT: Final = "-1"


@dataclass(frozen=True)
class Since:
    """The records of some topics from a time on, as `fix_ranges` asks for them."""

    topics: tuple[str, ...]
    since_ms: int
    until_ms: int | None = None
    spans: tuple[Span, ...] = ()
    partitions: tuple[int, ...] = ()


class OutputTopicsReader:
    """Asks the brokers about the verdict and the dead-letter topic.

    Args:
        admin: Admin client.
        settings: Names of the topics.
    """

    def __init__(self, admin: AdminClient, settings: KafkaSettings) -> None:
        self._admin = admin
        self._settings = settings

    def ranges(self, since_ms: int) -> tuple[PartitionRange, ...]:
        """Return the committed offsets from a time on, up to where the partitions end now.

        Raises:
            Fatal: the brokers do not answer, or a topic is missing.
        """
        topics = (self._settings.dead_letter_topic, self._settings.verdict_topic)
        try:
            known = self._admin.list_topics(timeout=self._settings.request_timeout_s).topics
            if missing := [topic for topic in topics if topic not in known]:
                raise Fatal(
                    f"Kafka lacks the topics {', '.join(missing)}; expected verdicts and dead letters in {topics}; "
                    "check the topic settings and the rights on them"
                )
            return fix_ranges(self._admin, Since(topics, since_ms), {}, timeout_s=self._settings.request_timeout_s)
        except KafkaException as error:
            raise fatal(kafka_error(error), f"fixing the offsets of {', '.join(topics)}") from error

    def dead_letters_complete_from_ms(self, now_ms: int) -> int:
        """Return the time from which on every dead letter is still there, ms since the epoch.

        Raises:
            Fatal: the brokers do not answer.
        """
        topic = self._settings.dead_letter_topic
        try:
            return complete_from_ms(self._kept(topic), retention_ms=self._retention_ms(topic), now_ms=now_ms)
        except KafkaException as error:
            raise fatal(kafka_error(error), f"asking what {topic} holds") from error

    def _kept(self, topic: str) -> list[KeptLetters]:
        found = self._admin.list_topics(topic, timeout=self._settings.request_timeout_s).topics[topic]
        places = [TopicPartition(topic, partition) for partition in sorted(found.partitions)]
        lows = self._offsets(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        firsts = self._offsets(places, OffsetSpec.for_timestamp(0))
        return [
            KeptLetters(low.offset, first.timestamp if first.offset >= 0 else None)
            for low, first in zip(lows, firsts, strict=True)
        ]

    def _offsets(self, places: list[TopicPartition], spec: Any) -> list[Any]:
        asked = self._admin.list_offsets(
            dict.fromkeys(places, spec),
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=self._settings.request_timeout_s,
        )
        answers = {(place.topic, place.partition): future.result() for place, future in asked.items()}
        return [answers[place.topic, place.partition] for place in places]

    def _retention_ms(self, topic: str) -> int | None:
        """Return the age at which records are deleted; None where something else deletes too, or nobody may know."""
        resource = ConfigResource(ResourceType.TOPIC, topic)
        (future,) = self._admin.describe_configs([resource], request_timeout=self._settings.request_timeout_s).values()
        try:
            config = future.result()
        except KafkaException:
            # A right of its own, without which the oldest dead letter decides.
            return None
        retention_ms = int(config["retention.ms"].value)
        is_age_only = (
            config["cleanup.policy"].value == "delete"
            and config["retention.bytes"].value == _NO_SIZE_LIMIT
            and retention_ms >= 0
        )
        return retention_ms if is_age_only else None
