"""Check at start that the state topic can hold the states of the input topic's chats."""

from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import ConfigResource, ResourceType  # type: ignore[attr-defined]

from worker.errors import Fatal
from worker.kafka.client import KafkaAdmin
from worker.kafka.errors import describe, kafka_error
from worker.kafka.ranges import partitions_of

log = structlog.get_logger()

_COMPACT: Final = "compact"
_NOT_ALLOWED: Final = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED})


def check_state_topic(admin: KafkaAdmin, topic: str, input_topic: str, *, timeout: float) -> None:
    """Check partitions and cleanup of the state topic.

    Args:
        admin: Admin client.
        topic: The state topic.
        input_topic: The topic whose chats it remembers.
        timeout: Longest wait for one answer, seconds.

    Raises:
        Fatal: it has fewer partitions than the input topic, or loses states by their age.
        KafkaException: the brokers do not answer.
    """
    n_states = len(partitions_of(admin, [topic], timeout_s=timeout))
    n_inputs = len(partitions_of(admin, [input_topic], timeout_s=timeout))
    if n_states < n_inputs:
        raise Fatal(
            f"state topic {topic} has {n_states} partitions; expected {n_inputs}, as {input_topic} has, since a chat's "
            f"state lies in the partition with the number of its own; add partitions to {topic} "
            "(`kafka-topics.sh --alter`), and when the input grows, to it first"
        )
    if n_states > n_inputs:
        log.warning("state_topic_is_larger", topic=topic, n_partitions=n_states, n_input_partitions=n_inputs)
    cleanup = _cleanup(admin, topic, timeout_s=timeout)
    if cleanup not in {_COMPACT, None}:
        raise Fatal(
            f"state topic {topic}: cleanup.policy is {cleanup}; expected {_COMPACT}, or holds end before their time; "
            f"set it with `kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config "
            f"cleanup.policy={_COMPACT}`"
        )


def _cleanup(admin: KafkaAdmin, topic: str, *, timeout_s: float) -> str | None:
    """Return a topic's cleanup.policy; None where this user lacks the right to ask, one to do without."""
    (future,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)], request_timeout=timeout_s).values()
    try:
        found: Any = future.result()
    except KafkaException as error:
        cause = kafka_error(error)
        if cause.code() not in _NOT_ALLOWED:
            raise
        log.warning("state_topic_unchecked", topic=topic, error=describe(cause))
        return None
    return str(found["cleanup.policy"].value)
