"""Check at start that the topics are there and may be used as they will be, and how large a message each accepts.

Without the check, a right that lacks would show with the first batch, and only one of them at a time.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclOperation,
    AdminClient,
    ConfigResource,
    ResourceType,
    TopicDescription,
)

from worker.errors import Fatal
from worker.kafka.config import FALLBACK_MAX_MESSAGE_BYTES
from worker.kafka.errors import describe, kafka_error
from worker.kafka.retry import Waiting, patiently, unheard
from worker.outcome_encoding import OutputTopics
from worker.settings.kafka import KafkaSettings

log = structlog.get_logger()

_REMEDY: Final = "check the brokers and the network"
_LIMIT_NAME: Final = "max.message.bytes"
_CLEANUP_NAME: Final = "cleanup.policy"
_COMPACTED: Final = "compact"
_MISSING: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})
_NOT_ALLOWED: Final = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED})

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
    waiting: Waiting = unheard,
) -> OutputTopics:
    """Return the output topics with their limits.

    Args:
        admin: Admin client.
        settings: Names of the topics.
        inputs: Topics that are read, by default the input topic.
        others: What else is done with topics.
        optional: The same of topics without which the worker does its work all the same; a missing one is logged.
        waiting: Told while an answer is waited for.

    Raises:
        Fatal: Kafka does not answer, a topic is missing, or the worker may not use one as it must; names all. Or dead
            letters would be compacted.
    """
    inputs = inputs or [settings.input_topic]
    checked = [*dict.fromkeys([*inputs, settings.verdict_topic, settings.dead_letter_topic])]
    uses: dict[str, set[AclOperation]] = {topic: set() for topic in [*checked, *(others or {})]}
    for topics, operations in ((inputs, READ), ([settings.verdict_topic, settings.dead_letter_topic], WRITE)):
        for topic in topics:
            uses[topic] |= operations
    for topic, more in (others or {}).items():
        uses[topic] |= set(more)
    if problems := _problems(admin, uses, settings, waiting):
        raise Fatal("; ".join(problems))
    if optional and (problems := _problems(admin, optional, settings, waiting)):
        log.warning("topic_unusable", problems=problems, consequence="until then what belongs there is dropped")
    found = {topic: _limits(admin, topic, settings, waiting) for topic in checked}
    _check_cleanup({topic: found[topic].cleanup for topic in found}, settings)
    limits = {topic: found[topic].max_message_bytes for topic in found}
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
        verdict_headers=settings.verdict_headers,
    )


def max_message_bytes(admin: AdminClient, topic: str, settings: KafkaSettings, waiting: Waiting = unheard) -> int:
    """Return how large a message a topic accepts, bytes; what Kafka assumes where this user may not ask.

    Raises:
        Fatal: Kafka does not answer.
    """
    return _limits(admin, topic, settings, waiting).max_message_bytes


def _problems(admin: AdminClient, uses: Uses, settings: KafkaSettings, waiting: Waiting) -> list[str]:
    """Return what keeps topics from being used so."""
    # A worker may start while the broker that must answer is lost and its place not taken yet.
    answers = patiently(
        f"describing topics {', '.join(uses)}",
        partial(_described, admin, list(uses)),
        settings,
        remedy=_REMEDY,
        waiting=waiting,
    )
    missing, refused = [], []
    for topic, answer in answers.items():
        if isinstance(answer, KafkaError):
            if answer.code() in _MISSING:
                missing.append(topic)
            else:
                refused.append(f"{_names(uses[topic])} on topic {topic}")
        # None: a broker that does not say what it allows, and will refuse later what it refuses.
        elif (allowed := answer.authorized_operations) is not None and (
            lacking := set(uses[topic]) - {AclOperation.ALL, *allowed}
        ):
            refused.append(f"{_names(lacking)} on topic {topic}")
    return [*_missing(missing, uses), *_refused(refused)]


def _described(admin: AdminClient, topics: list[str], *, timeout: float) -> dict[str, TopicDescription | KafkaError]:
    """Return what the brokers say of each topic, or that it is missing or not shown."""
    asked = admin.describe_topics(TopicCollection(topics), include_authorized_operations=True, request_timeout=timeout)
    found: dict[str, TopicDescription | KafkaError] = {}
    for topic, answer in asked.items():
        try:
            found[topic] = answer.result()
        except KafkaException as error:
            cause = found[topic] = kafka_error(error)
            if cause.code() not in _MISSING | {KafkaError.TOPIC_AUTHORIZATION_FAILED}:
                raise
    return found


def _missing(topics: list[str], uses: Uses) -> Iterator[str]:
    if topics:
        yield (
            f"Kafka lacks the topics {', '.join(topics)}; expected all of {', '.join(uses)}; create them "
            "(`python -m deploy.kafka topics`), or correct the names in the settings"
        )


def _refused(rights: list[str]) -> Iterator[str]:
    if rights:
        yield (
            f"Kafka does not allow {', '.join(rights)}; expected a user who may; grant it, or check the name "
            "(a topic that may not be described looks like one that is not there)"
        )


def _names(operations: Collection[AclOperation]) -> str:
    return " and ".join(sorted(operation.name.title() for operation in operations))


class _Limits(NamedTuple):
    """What a topic's configuration says."""

    max_message_bytes: int = FALLBACK_MAX_MESSAGE_BYTES
    cleanup: str = ""
    """How old records go: "delete", "compact" or both; empty where this user may not ask."""


def _limits(admin: AdminClient, topic: str, settings: KafkaSettings, waiting: Waiting) -> _Limits:
    return patiently(
        f"asking for the configuration of topic {topic}",
        partial(_limits_found, admin, topic),
        settings,
        remedy=_REMEDY,
        waiting=waiting,
    )


def _limits_found(admin: AdminClient, topic: str, *, timeout: float) -> _Limits:
    """Return what the broker says; assumptions where this user lacks the right to ask, one to do without."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    (future,) = admin.describe_configs([resource], request_timeout=timeout).values()
    try:
        found = future.result()
    except KafkaException as error:
        cause = kafka_error(error)
        if cause.code() not in _NOT_ALLOWED:
            raise
        log.warning("topic_limit_unknown", topic=topic, error=describe(cause))
        return _Limits()
    return _Limits(int(found[_LIMIT_NAME].value), found[_CLEANUP_NAME].value)


def _check_cleanup(cleanups: Mapping[str, str], settings: KafkaSettings) -> None:
    """Refuse to let dead letters be compacted: two of one chat become one, and one without a key is never taken.

    Raises:
        Fatal: the dead-letter topic is compacted.
    """
    letters, verdicts = settings.dead_letter_topic, settings.verdict_topic
    if _COMPACTED in cleanups[letters]:
        raise Fatal(
            f"dead-letter topic {letters}: cleanup.policy is {cleanups[letters]}; expected delete: a compacted topic "
            "refuses a dead letter without a key, and with it the whole batch; set it with `kafka-configs.sh --alter "
            f"--entity-type topics --entity-name {letters} --add-config cleanup.policy=delete`"
        )
    if _COMPACTED in cleanups[verdicts]:
        log.warning(
            "verdicts_are_compacted",
            topic=verdicts,
            cleanup=cleanups[verdicts],
            expected="delete: comparisons, replays and readers that were away need each verdict of a chat",
        )
