"""How long Kafka has been away, and when that is too long."""

import pytest
from confluent_kafka import KafkaError

from tests.worker.kafka.faults import kafka_failure
from worker.errors import Fatal
from worker.kafka.errors import is_refusal
from worker.kafka.reachability import Reachability
from worker.process.metrics import Metrics

DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN)


class Broker:
    """Answers probes or does not, and moves the clock."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.is_up = False
        self.refusal = KafkaError._TRANSPORT
        self.n_probes = 0
        self.metrics = Metrics()
        self.reachability = Reachability(
            exit_after_s=60.0, metrics=self.metrics, probe=self.probe, clock=lambda: self.now_s
        )

    def probe(self) -> None:
        """Answer."""
        self.n_probes += 1
        if not self.is_up:
            raise kafka_failure(self.refusal)

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


def test_up_is_shown_from_the_first_sign_of_life_on() -> None:
    """A start that still waits for an answer has reached nobody; it does not count as an absence either."""
    broker = Broker()
    assert broker.metrics.registry.get_sample_value("moderation_kafka_up") == pytest.approx(0)
    assert broker.reachability.reachable
    broker.reachability.seen()
    assert broker.metrics.registry.get_sample_value("moderation_kafka_up") == pytest.approx(1)
    broker.reachability.on_error(DOWN)
    assert broker.metrics.registry.get_sample_value("moderation_kafka_up") == pytest.approx(0)


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
    """F19: waiting cures no expired certificate; a new connection is refused too."""
    broker = Broker()
    broker.refusal = code
    broker.reachability.on_error(KafkaError(code))
    with pytest.raises(Fatal, match="check"):
        broker.after(0)


def test_one_refused_connection_ends_nothing_while_brokers_take_new_ones() -> None:
    """A broker that stops in the middle of a handshake looks like one that refuses."""
    broker = Broker()
    broker.is_up = True
    broker.reachability.on_error(KafkaError(KafkaError._SSL))
    broker.after(0)
    broker.after(10)
    assert broker.n_probes == 1


def test_a_refusal_is_not_forgotten_while_no_broker_answers() -> None:
    """Neither proven nor disproven: asked again."""
    broker = Broker()
    broker.reachability.on_error(KafkaError(KafkaError._SSL))
    broker.after(0)
    broker.refusal = KafkaError._SSL
    with pytest.raises(Fatal, match="check the certificates"):
        broker.after(10)


@pytest.mark.parametrize(
    ("text", "is_one"), [("SSL alert number 42", True), ("alert number 116 (x)", True), ("timed out", False)]
)
def test_an_alert_by_which_a_broker_refuses_a_certificate_is_a_refusal(text: str, *, is_one: bool) -> None:
    """Under TLS 1.3 it arrives after the handshake, as the end of a working connection."""
    assert is_refusal(KafkaError(KafkaError._TRANSPORT, text)) is is_one


def test_other_errors_of_a_client_are_not_an_absence() -> None:
    """One connection of many fails all the time."""
    broker = Broker()
    broker.reachability.on_error(KafkaError(KafkaError._TRANSPORT))
    assert broker.reachability.reachable
