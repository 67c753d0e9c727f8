"""Which Kafka errors end the process, with the cause and the remedy in words."""

from typing import Final

from confluent_kafka import KafkaError, KafkaException

from worker.errors import Fatal

_REMEDIES: Final[dict[int, str]] = {
    KafkaError._AUTHENTICATION: "check MODERATION_KAFKA__SASL_USERNAME and its password",
    KafkaError.SASL_AUTHENTICATION_FAILED: "check MODERATION_KAFKA__SASL_USERNAME and its password",
    KafkaError._SSL: "check the certificates (MODERATION_KAFKA__SSL_…) and their expiry",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "grant Read on the input topic, Write on the verdict and dead-letter topics",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "grant Read on the consumer group",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "grant Write and Describe on the transactional id prefix",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "grant IdempotentWrite on the cluster",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "create the topic; the worker never creates one",
    KafkaError._UNKNOWN_TOPIC: "create the topic; the worker never creates one",
    KafkaError._UNKNOWN_PARTITION: "the topic has lost partitions; restart after it is whole",
    KafkaError._FENCED: "another worker runs with the same transactional id; give each its own",
    KafkaError.PRODUCER_FENCED: "another worker runs with the same transactional id; give each its own",
    KafkaError.INVALID_PRODUCER_EPOCH: "another worker runs with the same transactional id; give each its own",
    KafkaError.FENCED_INSTANCE_ID: "another worker runs with the same group instance id; give each its own",
    KafkaError.UNRELEASED_INSTANCE_ID: "another worker runs with the same group instance id; give each its own",
    KafkaError.UNSUPPORTED_ASSIGNOR: "choose an assignor of the broker's group.consumer.assignors, or none",
    KafkaError.UNSUPPORTED_VERSION: "the broker is too old; Kafka 2.5 is needed, 4.0 for group_protocol=consumer",
}

FENCED: Final = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})
"""A newer producer epoch exists: another worker's, or the broker's own after a transaction timeout."""


def kafka_error(error: KafkaException) -> KafkaError:
    """Return the KafkaError that an exception carries."""
    found: KafkaError = error.args[0]
    return found


def describe(error: KafkaError) -> str:
    """Return name and text of an error on one line."""
    return f"{error.name()}: {error.str()}"


def is_fatal(error: KafkaError) -> bool:
    """Say whether no retry can help."""
    # A consumer's fatal error has this code and not the flag.
    return bool(error.fatal()) or error.code() == KafkaError._FATAL or error.code() in _REMEDIES


def _cause(error: KafkaError) -> int:
    """Return the code of an error, also where a consumer wraps it: then only the text names it."""
    if error.code() != KafkaError._FATAL:
        return int(error.code())
    return next((code for code in _REMEDIES if KafkaError(code).str() in error.str()), int(error.code()))


def fatal(error: KafkaError, doing: str) -> Fatal:
    """Return the exception that ends the process, with what was tried, what was found and what to do."""
    remedy = _REMEDIES.get(_cause(error), "see the broker's log; the process must be restarted")
    return Fatal(f"{doing}: {describe(error)}; {remedy}")
