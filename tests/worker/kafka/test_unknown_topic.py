"""An unknown topic is put up with for a stated time, counted from the first word of it."""

import pytest
from confluent_kafka import KafkaError

from worker.kafka.retry import PATIENCE_S, UnknownTopic


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
    unknown, error = UnknownTopic(clock), KafkaError(code)
    assert unknown.may_pass(error)
    clock.now_s += PATIENCE_S - 0.1
    assert unknown.may_pass(error)
    clock.now_s += 0.2
    assert not unknown.may_pass(error)


def test_a_topic_that_was_known_meanwhile_gets_the_whole_time_again() -> None:
    """Two restarts of a broker an hour apart are not an hour without a topic."""
    clock = Clock()
    unknown = UnknownTopic(clock)
    assert unknown.may_pass(UNKNOWN)
    unknown.known()
    clock.now_s += PATIENCE_S + 1
    assert unknown.may_pass(UNKNOWN)


def test_other_errors_are_not_its_business() -> None:
    """A right that lacks does not come by waiting."""
    assert not UnknownTopic().may_pass(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
