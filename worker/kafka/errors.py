"""Which Kafka errors end the process, with the cause and the remedy in words."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from worker.errors import Fatal

_CREDENTIALS: Final = (
    "expected credentials that the broker knows; check MODERATION_KAFKA__SASL_USERNAME and its password, or with "
    "OAUTHBEARER MODERATION_KAFKA__OAUTH_…"
)

_REMEDIES: Final[dict[int, str]] = {
    KafkaError._AUTHENTICATION: _CREDENTIALS,
    KafkaError.SASL_AUTHENTICATION_FAILED: _CREDENTIALS,
    KafkaError._SSL: "expected a broker and a worker that trust each other; check the certificates "
    "(MODERATION_KAFKA__SSL_…), who signed them, their names and their expiry",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "grant Read on the input topic, Write on verdicts and dead letters",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "grant Read on the group (Describe where only its offsets are read)",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "grant Write on the transactional ids, by what they begin with",
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
    KafkaError.INVALID_SESSION_TIMEOUT: "set MODERATION_KAFKA__SESSION_TIMEOUT_S within the brokers' "
    "group.min.session.timeout.ms and group.max.session.timeout.ms (6 s and 30 min by default)",
    KafkaError.INVALID_GROUP_ID: "correct MODERATION_KAFKA__GROUP_ID",
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: "a member with another assignor than cooperative-sticky, or of the other "
    "group protocol, is in the group; stop it (`kafka-consumer-groups.sh --describe --members --group …` names it), or "
    "set a MODERATION_KAFKA__GROUP_ID of the workers' own",
    KafkaError.GROUP_MAX_SIZE_REACHED: "the group is full; start fewer workers, or raise the brokers' group.max.size",
}

JOIN_REFUSED: Final = frozenset({KafkaError.INCONSISTENT_GROUP_PROTOCOL, KafkaError.GROUP_MAX_SIZE_REACHED})
"""The group does not take this member while others are in it; they may be about to leave."""

_LOWERED: Final = (
    "the topic's max.message.bytes, or the brokers' message.max.bytes, was lowered while the worker ran; raise it "
    "again, or let the worker start anew: it reads the limit at its start and keeps to it"
)

_REFUSED_FOR_GOOD: Final[dict[int, str]] = {
    KafkaError.INVALID_RECORD: "the topic takes no such record: a compacted one refuses records without a key; set "
    "cleanup.policy=delete on it, and look at the broker's log for other reasons",
    KafkaError.MSG_SIZE_TOO_LARGE: _LOWERED,
    KafkaError.RECORD_LIST_TOO_LARGE: _LOWERED,
    KafkaError.INVALID_TIMESTAMP: "the topic refuses the time of writing; check the worker's clock and the topic's "
    "message.timestamp.before.max.ms and message.timestamp.after.max.ms",
    KafkaError.POLICY_VIOLATION: "a policy of the brokers refuses it; see the broker's log",
    KafkaError.UNSUPPORTED_COMPRESSION_TYPE: "the broker does not know the codec; change MODERATION_KAFKA__COMPRESSION",
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT: "the topic has a message format without headers or transactions; raise "
    "its message.format.version",
    KafkaError.TOPIC_EXCEPTION: "correct the topic's name",
    KafkaError.OFFSET_METADATA_TOO_LARGE: "set the brokers' offset.metadata.max.bytes to its default of 4096 at least",
    KafkaError.INVALID_COMMIT_OFFSET_SIZE: "set the brokers' offset.metadata.max.bytes to its default of 4096 at least",
}
"""What a broker says to a message or an offset that it will never take: the same batch again ends in the same way."""

_WRAPPED_REMEDIES: Final[dict[int, str]] = {
    **_REMEDIES,
    # Fatal to a consumer of the protocol of KIP-848 alone: the broker does not convert the group of the classic one.
    KafkaError.GROUP_ID_NOT_FOUND: "members of the other group protocol are in it; stop all of them first",
}

_REFUSALS: Final = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError._SSL})

_TLS_ALERT: Final = re.compile(r"alert number (4[0-9]|116)\b")
"""How a broker refuses a certificate under TLS 1.3: after the handshake, so that the client takes it for a broken line.
40 to 49 are about certificates and keys, 116 asks for one that is missing (RFC 8446, section 6)."""

UNKNOWN_TOPIC: Final = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}
)
"""A topic or partition is not there, or the client has just lost sight of it; see `worker.kafka.retry`."""

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
    """Say whether no retry can help; where a topic is unknown, after the time that `worker.kafka.retry` gives it."""
    # A consumer's fatal error has this code and not the flag.
    return bool(error.fatal()) or error.code() == KafkaError._FATAL or error.code() in _REMEDIES or is_refusal(error)


def is_refusal(error: KafkaError) -> bool:
    """Say whether an error tells of a connection that a broker, or the client itself, refused."""
    return error.code() in _REFUSALS or (error.code() == KafkaError._TRANSPORT and bool(_TLS_ALERT.search(error.str())))


def _cause(error: KafkaError) -> int:
    """Return the code of an error, also where another one hides it.

    A consumer wraps its fatal error, and only the text names the cause; a refused certificate looks like a broken line.
    """
    if error.code() == KafkaError._FATAL:
        return next((code for code in _WRAPPED_REMEDIES if KafkaError(code).str() in error.str()), int(error.code()))
    if error.code() == KafkaError._TRANSPORT and is_refusal(error):
        return int(KafkaError._SSL)
    return int(error.code())


def fatal(error: KafkaError, doing: str) -> Fatal:
    """Return the exception that ends the process, with what was tried, what was found and what to do."""
    remedy = _WRAPPED_REMEDIES.get(_cause(error), "see the broker's log; the process must be restarted")
    return Fatal(f"{doing}: {describe(error)}; {remedy}")


def refused_for_good(error: KafkaError, doing: str) -> Fatal | None:
    """Return what ends the process where a broker will never take what it was sent; None where it may yet.

    Args:
        error: What the broker says.
        doing: What was sent where, for the error.
    """
    remedy = _REFUSED_FOR_GOOD.get(int(error.code()))
    return None if remedy is None else Fatal(f"{doing}: {describe(error)}; {remedy}")


@contextmanager
def fatal_while(doing: str) -> Iterator[None]:
    """Let whatever the brokers refuse in this block end the process.

    Args:
        doing: What is tried, for the error.

    Raises:
        Fatal: in place of a KafkaException.
    """
    try:
        yield
    except KafkaException as error:
        raise fatal(kafka_error(error), doing) from error
