"""Kafka is asked again while it gives no answer, and no longer than it may be away."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from worker.errors import Fatal
from worker.patience import patiently
from worker.settings import KafkaSettings

REMEDY = "check the brokers"


def asked(*failures: int, settings: KafkaSettings | None = None) -> tuple[str, list[float]]:
    """Ask a Kafka that fails so, in this order, before it answers; return the answer and the time-outs it was given."""
    left, timeouts = list(failures), []

    def call(*, timeout: float) -> str:
        timeouts.append(timeout)
        if left:
            raise KafkaException(KafkaError(left.pop(0)))
        return "answer"

    settings = settings or KafkaSettings(bootstrap_servers="broker:9092", request_timeout_s=7)
    return patiently("asking", call, settings, remedy=REMEDY), timeouts


def test_a_question_without_an_answer_is_asked_again() -> None:
    """A worker that started while the cluster's controller was lost ended at once with exit code 3."""
    answer, timeouts = asked(KafkaError._TIMED_OUT, KafkaError._TRANSPORT)
    assert (answer, timeouts) == ("answer", [7, 7, 7])


def test_a_refusal_ends_it_at_once() -> None:
    """No retry gives a right."""
    with pytest.raises(Fatal, match=r"asking: TOPIC_AUTHORIZATION_FAILED.*grant Read"):
        asked(KafkaError._TIMED_OUT, KafkaError.TOPIC_AUTHORIZATION_FAILED)


def test_a_kafka_that_stays_away_ends_it_with_the_remedy() -> None:
    """The limit is the one for all of Kafka."""
    settings = KafkaSettings(bootstrap_servers="broker:9092", unreachable_exit_s=0.3)
    with pytest.raises(Fatal, match=r"asking: no answer for 0\.3 s: _TIMED_OUT.*check the brokers"):
        asked(*[KafkaError._TIMED_OUT] * 100, settings=settings)
