"""How long Kafka has been away, and when that is too long."""

import pytest
from confluent_kafka import KafkaError

from tests.worker.fake_kafka import kafka_failure
from worker.errors import Fatal
from worker.metrics import Metrics
from worker.reachability import Reachability

DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN)


class Broker:
    """Answers probes or does not, and moves the clock."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.is_up = False
        self.n_probes = 0
        self.metrics = Metrics()
        self.reachability = Reachability(
            exit_after_s=60.0, metrics=self.metrics, probe=self.probe, clock=lambda: self.now_s
        )

    def probe(self) -> None:
        """Answer."""
        self.n_probes += 1
        if not self.is_up:
            raise kafka_failure(KafkaError._TRANSPORT)

    def after(self, seconds: float) -> None:
        """Check again later."""
        self.now_s += seconds
        self.reachability.check()


def test_a_broker_that_comes_back_is_noticed() -> None:
    """The client library says when all brokers are down, and never when they are back."""
    broker = Broker()
    broker.reachability.on_error(DOWN)
    assert not broker.reachability.reachable
    broker.after(30)
    broker.is_up = True
    broker.after(10)
    assert broker.reachability.reachable
    assert broker.metrics.registry.get_sample_value("moderation_kafka_up") == pytest.approx(1)


def test_too_long_without_a_broker_is_fatal_with_the_setting_that_says_how_long() -> None:
    """Law 4."""
    broker = Broker()
    broker.reachability.on_error(DOWN)
    broker.after(59)
    with pytest.raises(Fatal, match="MODERATION_KAFKA__UNREACHABLE_EXIT_S"):
        broker.after(5)


def test_a_second_absence_counts_from_its_own_beginning() -> None:
    """Two short absences are not one long one."""
    broker = Broker()
    broker.reachability.on_error(DOWN)
    broker.after(50)
    broker.reachability.seen()
    broker.reachability.on_error(DOWN)
    broker.after(50)
    assert not broker.reachability.reachable


def test_nobody_is_asked_while_all_is_well_and_seldom_while_not() -> None:
    """A probe costs up to a second of the loop."""
    broker = Broker()
    broker.after(10)
    assert broker.n_probes == 0
    broker.reachability.on_error(DOWN)
    for _ in range(10):
        broker.after(0.5)
    assert broker.n_probes <= 4


@pytest.mark.parametrize("code", [KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError._SSL])
def test_refused_credentials_are_fatal_at_once(code: int) -> None:
    """F19: waiting cures no expired certificate."""
    broker = Broker()
    broker.reachability.on_error(KafkaError(code))
    with pytest.raises(Fatal, match="check"):
        broker.after(0)


def test_other_errors_of_a_client_are_not_an_absence() -> None:
    """One connection of many fails all the time."""
    broker = Broker()
    broker.reachability.on_error(KafkaError(KafkaError._TRANSPORT))
    assert broker.reachability.reachable
