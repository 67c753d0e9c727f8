"""Kafka's errors as the clients raise them."""

from confluent_kafka import KafkaError, KafkaException


def failure(code: int, text: str, *, fatal: bool = False, requires_abort: bool = False) -> KafkaException:
    """Return what a client raises."""
    # The client's own signature: code, reason, fatal, retriable, requires abort.
    return KafkaException(KafkaError(code, text, fatal, False, requires_abort))  # noqa: FBT003
