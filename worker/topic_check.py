"""Check at start that the topics exist, and learn how large a message each accepts."""

from collections.abc import Sequence
from typing import Final

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]

from worker.errors import Fatal
from worker.kafka_config import FALLBACK_MAX_MESSAGE_BYTES
from worker.kafka_errors import describe, fatal, is_fatal, kafka_error
from worker.messages import OutputTopics
from worker.settings import KafkaSettings

log = structlog.get_logger()

_LIMIT_NAME: Final = "max.message.bytes"


def check_topics(
    admin: AdminClient,
    settings: KafkaSettings,
    *,
    inputs: Sequence[str] = (),
    others: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> OutputTopics:
    """Return the output topics with their limits.

    Args:
        admin: Admin client.
        settings: Names of the topics.
        inputs: Topics that are read, by default the input topic.
        others: More topics that must be there.
        optional: Topics without which the worker does its work all the same; a missing one is logged.

    Raises:
        Fatal: Kafka does not answer, or a topic is missing.
    """
    inputs = inputs or [settings.input_topic]
    checked = [*dict.fromkeys([*inputs, settings.verdict_topic, settings.dead_letter_topic])]
    wanted = [*dict.fromkeys([*checked, *others])]
    try:
        existing = admin.list_topics(timeout=settings.request_timeout_s).topics
    except KafkaException as error:
        cause = kafka_error(error)
        if is_fatal(cause):
            raise fatal(cause, "listing topics") from error
        raise Fatal(
            f"Kafka at {settings.bootstrap_servers}: no answer within {settings.request_timeout_s} s "
            f"({describe(cause)}); expected a broker; check MODERATION_KAFKA__BOOTSTRAP_SERVERS and the network"
        ) from error
    missing = [topic for topic in wanted if topic not in existing or existing[topic].error is not None]
    if missing:
        raise Fatal(f"Kafka lacks the topics {', '.join(missing)}; expected all of {', '.join(wanted)}; create them")
    for topic in optional:
        if topic not in existing or existing[topic].error is not None:
            log.warning("topic_missing", topic=topic, remedy="create it; until then what belongs there is dropped")
    limits = {topic: _limit(admin, topic, settings.request_timeout_s) for topic in checked}
    largest_input = max(limits[topic] for topic in inputs)
    if limits[settings.dead_letter_topic] < largest_input:
        log.warning(
            "dead_letters_may_be_cut",
            input_max_bytes=largest_input,
            dead_letter_max_bytes=limits[settings.dead_letter_topic],
        )
    return OutputTopics(
        verdicts=settings.verdict_topic,
        dead_letters=settings.dead_letter_topic,
        verdict_max_bytes=limits[settings.verdict_topic],
        dead_letter_max_bytes=limits[settings.dead_letter_topic],
    )


def _limit(admin: AdminClient, topic: str, timeout_s: float) -> int:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    (future,) = admin.describe_configs([resource], request_timeout=timeout_s).values()
    try:
        return int(future.result()[_LIMIT_NAME].value)
    except KafkaException as error:
        # DescribeConfigs is a right of its own, and the worker can do without it.
        log.warning("topic_limit_unknown", topic=topic, error=describe(kafka_error(error)))
        return FALLBACK_MAX_MESSAGE_BYTES
