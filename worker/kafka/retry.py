"""Ask Kafka again while it does not answer or seems not to know a topic: a lost broker is missed for seconds.

While a broker is lost or comes back, a client that asks for the leader of a partition in that moment is told that there
is no such partition, though nobody has deleted anything.

Source: librdkafka CONFIGURATION.md, `topic.metadata.propagation.max.ms`, for the length of that time.
"""

import time
from collections.abc import Callable, Collection
from typing import Final, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException

from worker.errors import Fatal
from worker.kafka.errors import UNKNOWN_TOPIC, describe, fatal, is_fatal, kafka_error
from worker.settings.kafka import KafkaSettings

log = structlog.get_logger()

T = TypeVar("T")

Waiting = Callable[[str], object]
"""Told again and again while Kafka is waited for, with what for; may be called in any thread and must not raise."""

_RETRY_PAUSE_S: Final = 0.2
_LOG_EVERY_S: Final = 10.0
"""An answer that stays the same is logged so often: a refusal comes at once, five times a second."""
PATIENCE_S: Final = 30.0
"""Longest time in which an unknown topic may become known again, or a group take a member that it has refused."""


class Passing:
    """Keeps the time since when an error stands that may pass by itself: an unknown topic, say.

    Args:
        codes: Errors of this kind.
        clock: Monotonic seconds.
    """

    def __init__(self, codes: Collection[int] = UNKNOWN_TOPIC, clock: Callable[[], float] = time.monotonic) -> None:
        self._codes = codes
        self._clock = clock
        self._since: float | None = None

    def may_pass(self, error: KafkaError) -> bool:
        """Say whether an error is of this kind and has not stood for too long."""
        if error.code() not in self._codes:
            return False
        now = self._clock()
        if self._since is None:
            self._since = now
        return now - self._since < PATIENCE_S

    def passed(self) -> None:
        """Take a sign that it stands no longer."""
        self._since = None


def unheard(_: str) -> None:
    """Tell nobody that Kafka is waited for."""


def look_for(client: Consumer, topic: str, *, timeout: float) -> None:
    """Ask the brokers for a topic.

    Raises:
        KafkaException: no broker answers within `timeout` seconds, or the one that does knows no such topic.
    """
    found = client.list_topics(topic, timeout=timeout).topics[topic]
    if found.error is not None:
        raise KafkaException(found.error)


def patiently(
    doing: str, call: Callable[..., T], settings: KafkaSettings, *, remedy: str, waiting: Waiting = unheard
) -> T:
    """Repeat a look-up until it answers or Kafka counts as away.

    Args:
        doing: What is asked, for the log and the error.
        call: Asks once, within `timeout` seconds; raises KafkaException where no answer came.
        settings: Give the time for one answer and for all of them.
        remedy: What to check where no answer comes at all.
        waiting: Told before each question.

    Raises:
        Fatal: Kafka refuses, or has not answered for `unreachable_exit_s`.
    """
    deadline = time.monotonic() + settings.unreachable_exit_s
    unknown = Passing()
    told, logged_at = doing, -_LOG_EVERY_S
    while True:
        waiting(told)
        try:
            return call(timeout=settings.request_timeout_s)
        except KafkaException as error:
            cause = kafka_error(error)
            if is_fatal(cause) and not unknown.may_pass(cause):
                raise fatal(cause, doing) from error
            if time.monotonic() > deadline:
                raise Fatal(
                    f"{doing}: no answer for {settings.unreachable_exit_s} s: {describe(cause)}; expected one; {remedy}"
                ) from error
            last, told = told, f"{doing}: {describe(cause)}"
            if told != last or time.monotonic() - logged_at >= _LOG_EVERY_S:
                log.warning("kafka_slow", doing=doing, error=describe(cause))
                logged_at = time.monotonic()
            time.sleep(_RETRY_PAUSE_S)


def asked_once(event: str, call: Callable[[], T]) -> T | None:
    """Return what a look-up finds; None where the brokers do not answer, which is logged under this name."""
    try:
        return call()
    except KafkaException as error:
        log.warning(event, error=describe(kafka_error(error)))
        return None
