"""How long an unknown topic is put up with before it counts as missing.

While a broker is lost or comes back, a client that asks for the leader of a partition in that moment is told that there
is no such partition, though nobody has deleted anything.

Source: librdkafka CONFIGURATION.md, `topic.metadata.propagation.max.ms`, for the length of the time.
"""

import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException

from worker.kafka_errors import UNKNOWN_TOPIC

PATIENCE_S: Final = 30.0
"""Longest time in which an unknown topic may become known again."""


class UnknownTopic:
    """Keeps the time since when a topic is unknown.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None

    def may_pass(self, error: KafkaError) -> bool:
        """Say whether an error tells of an unknown topic that may still become known."""
        if error.code() not in UNKNOWN_TOPIC:
            return False
        now = self._clock()
        if self._since is None:
            self._since = now
        return now - self._since < PATIENCE_S

    def known(self) -> None:
        """Take a sign that the topic is there."""
        self._since = None


def look_for(client: Consumer, topic: str, *, timeout: float) -> None:
    """Ask the brokers for a topic.

    Raises:
        KafkaException: no broker answers within `timeout` seconds, or the one that does knows no such topic.
    """
    found = client.list_topics(topic, timeout=timeout).topics[topic]
    if found.error is not None:
        raise KafkaException(found.error)
