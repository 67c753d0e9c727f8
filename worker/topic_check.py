"""Check at start that the topics are there and may be used as they will be, and how large a message each accepts.

Without the check, a right that lacks would show with the first batch, and only one of them at a time.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclOperation,
    AdminClient,
    ConfigResource,
    ResourceType,
)

from worker.errors import Fatal
from worker.kafka_config import FALLBACK_MAX_MESSAGE_BYTES
from worker.kafka_errors import describe, fatal, is_fatal, kafka_error
from worker.messages import OutputTopics
from worker.settings import KafkaSettings

log = structlog.get_logger()

_LIMIT_NAME: Final = "max.message.bytes"

READ: Final = frozenset({AclOperation.READ})
WRITE: Final = frozenset({AclOperation.WRITE})

Uses = Mapping[str, Collection[AclOperation]]
"""Topic to the operations that it is used for."""


def check_topics(
    admin: AdminClient,
    settings: KafkaSettings,
    *,
    inputs: Sequence[str] = (),
    others: Uses | None = None,
    optional: Uses | None = None,
) -> OutputTopics:
    """Return the output topics with their limits.

    Args:
        admin: Admin client.
        settings: Names of the topics.
        inputs: Topics that are read, by default the input topic.
        others: What else is done with topics.
        optional: The same of topics without which the worker does its work all the same; a missing one is logged.

    Raises:
        Fatal: Kafka does not answer, a topic is missing, or the worker may not use one as it must; names all.
    """
    inputs = inputs or [settings.input_topic]
    checked = [*dict.fromkeys([*inputs, settings.verdict_topic, settings.dead_letter_topic])]
    uses: dict[str, set[AclOperation]] = {topic: set() for topic in [*checked, *(others or {})]}
    for topics, operations in ((inputs, READ), ([settings.verdict_topic, settings.dead_letter_topic], WRITE)):
        for topic in topics:
            uses[topic] |= operations
    for topic, more in (others or {}).items():
        uses[topic] |= set(more)
    if problems := _problems(admin, uses, timeout_s=settings.request_timeout_s):
        raise Fatal("; ".join(problems))
    if optional and (problems := _problems(admin, optional, timeout_s=settings.request_timeout_s)):
        log.warning("topic_unusable", problems=problems, consequence="until then what belongs there is dropped")
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


def _problems(admin: AdminClient, uses: Uses, *, timeout_s: float) -> list[str]:
    """Return what keeps topics from being used so."""
    answers = admin.describe_topics(
        TopicCollection(list(uses)), include_authorized_operations=True, request_timeout=timeout_s
    )
    missing, refused = [], []
    for topic, answer in answers.items():
        try:
            allowed = answer.result().authorized_operations
        except KafkaException as error:
            cause = kafka_error(error)
            if cause.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}:
                missing.append(topic)
            elif cause.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                refused.append(f"{_names(uses[topic])} on topic {topic}")
            else:
                raise _no_answer(cause, topic) from error
            continue
        # None: a broker that does not say what it allows, and will refuse later what it refuses.
        if allowed is not None and (lacking := set(uses[topic]) - {AclOperation.ALL, *allowed}):
            refused.append(f"{_names(lacking)} on topic {topic}")
    return [*_missing(missing, uses), *_refused(refused)]


def _missing(topics: list[str], uses: Uses) -> Iterator[str]:
    if topics:
        yield f"Kafka lacks the topics {', '.join(topics)}; expected all of {', '.join(uses)}; create them"


def _refused(rights: list[str]) -> Iterator[str]:
    if rights:
        yield (
            f"Kafka does not allow {', '.join(rights)}; expected a user who may; grant it, or check the name "
            "(a topic that may not be described looks like one that is not there)"
        )


def _no_answer(cause: KafkaError, topic: str) -> Fatal:
    if is_fatal(cause):
        return fatal(cause, f"describing topic {topic}")
    return Fatal(f"describing topic {topic}: {describe(cause)}; expected an answer; check the brokers and the network")


def _names(operations: Collection[AclOperation]) -> str:
    return " and ".join(sorted(operation.name.title() for operation in operations))


def _limit(admin: AdminClient, topic: str, timeout_s: float) -> int:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    (future,) = admin.describe_configs([resource], request_timeout=timeout_s).values()
    try:
        return int(future.result()[_LIMIT_NAME].value)
    except KafkaException as error:
        # DescribeConfigs is a right of its own, and the worker can do without it.
        log.warning("topic_limit_unknown", topic=topic, error=describe(kafka_error(error)))
        return FALLBACK_MAX_MESSAGE_BYTES
