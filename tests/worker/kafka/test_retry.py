"""Kafka is asked again while it gives no answer, and no longer than it may be away; so is an unknown topic."""

import pytest
import structlog
from confluent_kafka import KafkaError, KafkaException

from worker.errors import Fatal
from worker.kafka.retry import PATIENCE_S, Passing, patiently
from worker.settings.kafka import KafkaSettings

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


def test_a_partition_that_the_client_has_lost_sight_of_is_asked_for_again() -> None:
    """Ended workers with exit code 3 while a broker came back: "the topic has lost partitions"."""
    answer, _ = asked(KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_PARTITION)
    assert answer == "answer"


def test_a_topic_that_stays_unknown_ends_it_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleted, and long before Kafka counts as away."""
    monkeypatch.setattr("worker.kafka.retry.PATIENCE_S", 0.3)
    with pytest.raises(Fatal, match=r"asking: UNKNOWN_TOPIC_OR_PART.*create the topic"):
        asked(*[KafkaError.UNKNOWN_TOPIC_OR_PART] * 100)


def test_the_same_answer_is_logged_once_in_a_while_and_another_one_at_once() -> None:
    """A topic that was deleted while a worker ran filled its log with 145 equal lines before it ended."""
    with structlog.testing.capture_logs() as lines:
        asked(*[KafkaError._UNKNOWN_PARTITION] * 3, KafkaError._TIMED_OUT)
    assert [line["error"].split(":")[0] for line in lines] == ["_UNKNOWN_PARTITION", "_TIMED_OUT"]


def test_a_refusal_ends_it_at_once() -> None:
    """No retry gives a right."""
    with pytest.raises(Fatal, match=r"asking: TOPIC_AUTHORIZATION_FAILED.*grant Read"):
        asked(KafkaError._TIMED_OUT, KafkaError.TOPIC_AUTHORIZATION_FAILED)


def test_a_kafka_that_stays_away_ends_it_with_the_remedy() -> None:
    """The limit is the one for all of Kafka."""
    settings = KafkaSettings(bootstrap_servers="broker:9092", unreachable_exit_s=0.3)
    with pytest.raises(Fatal, match=r"asking: no answer for 0\.3 s: _TIMED_OUT.*check the brokers"):
        asked(*[KafkaError._TIMED_OUT] * 100, settings=settings)


class Clock:
    """Seconds that a test moves on."""

    now_s = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


UNKNOWN = KafkaError(KafkaError._UNKNOWN_PARTITION)


@pytest.mark.parametrize(
    "code", [KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION]
)
def test_it_may_pass_until_the_time_is_over(code: int) -> None:
    """Then it counts as deleted."""
    clock = Clock()
    unknown, error = Passing(clock=clock), KafkaError(code)
    assert unknown.may_pass(error)
    clock.now_s += PATIENCE_S - 0.1
    assert unknown.may_pass(error)
    clock.now_s += 0.2
    assert not unknown.may_pass(error)


def test_a_topic_that_was_known_meanwhile_gets_the_whole_time_again() -> None:
    """Two restarts of a broker an hour apart are not an hour without a topic."""
    clock = Clock()
    unknown = Passing(clock=clock)
    assert unknown.may_pass(UNKNOWN)
    unknown.passed()
    clock.now_s += PATIENCE_S + 1
    assert unknown.may_pass(UNKNOWN)


def test_other_errors_are_not_its_business() -> None:
    """A right that lacks does not come by waiting."""
    assert not Passing().may_pass(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
