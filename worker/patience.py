"""Ask Kafka again while it gives no answer: a broker that was lost is missed for seconds, not for good."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

import structlog
from confluent_kafka import KafkaException

from worker.errors import Fatal
from worker.kafka_errors import describe, fatal, is_fatal, kafka_error
from worker.settings import KafkaSettings
from worker.unknown_topic import UnknownTopic

log = structlog.get_logger()

T = TypeVar("T")

_RETRY_PAUSE_S: Final = 0.2


def patiently(doing: str, call: Callable[..., T], settings: KafkaSettings, *, remedy: str) -> T:
    """Repeat a look-up until it answers or Kafka counts as away.

    Args:
        doing: What is asked, for the log and the error.
        call: Asks once, within `timeout` seconds; raises KafkaException where no answer came.
        settings: Give the time for one answer and for all of them.
        remedy: What to check where no answer comes at all.

    Raises:
        Fatal: Kafka refuses, or has not answered for `unreachable_exit_s`.
    """
    deadline = time.monotonic() + settings.unreachable_exit_s
    unknown = UnknownTopic()
    while True:
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
            log.warning("kafka_slow", doing=doing, error=describe(cause))
            time.sleep(_RETRY_PAUSE_S)
