"""Reach a broker, or learn in seconds why not.

A Kafka client hides a refusal: it tries again for as long as it is asked to wait, says "timed out", and tells the
cause to its error callback only. So the callback's last refusal is kept and wins over the time-out.
"""

import time
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from worker.errors import Fatal
from worker.kafka.client import KafkaAdmin, open_admin_client
from worker.kafka.errors import describe, fatal, is_fatal, is_refusal, kafka_error
from worker.settings.kafka import KafkaSettings

_STEP_S: Final = 1.0
"""After a refusal by one broker, the others have this long to answer."""
_PROBE_S: Final = 3.0
"""A new connection with TLS, a token and SASL takes a good part of a second."""


def open_admin(settings: KafkaSettings) -> KafkaAdmin:
    """Return an admin client that a broker has answered.

    Raises:
        Fatal: the brokers refuse the connection, or none answers within `request_timeout_s`.
    """
    try:
        return _connected(settings, timeout_s=settings.request_timeout_s)
    except KafkaException as error:
        cause = kafka_error(error)
        if is_fatal(cause):
            raise fatal(cause, f"connecting to Kafka at {settings.bootstrap_servers}") from None
        if cause.code() == KafkaError._INVALID_ARG:
            raise Fatal(f"the Kafka client refuses its settings: {cause.str()}; correct them") from None
        raise Fatal(
            f"Kafka at {settings.bootstrap_servers}: no answer within {settings.request_timeout_s} s "
            f"({describe(cause)}); expected a broker that speaks {settings.security_protocol}; check "
            "MODERATION_KAFKA__BOOTSTRAP_SERVERS, MODERATION_KAFKA__SECURITY_PROTOCOL and the network"
        ) from None


def probe(settings: KafkaSettings) -> None:
    """Open a new connection: those that stand already say nothing about credentials that have changed since.

    Raises:
        KafkaException: with the brokers' refusal where there is one, else with what the client says.
    """
    _connected(settings, timeout_s=_PROBE_S)


def _connected(settings: KafkaSettings, *, timeout_s: float) -> KafkaAdmin:
    refusals: list[KafkaError] = []

    def on_error(error: KafkaError) -> None:
        if is_refusal(error):
            refusals.append(error)

    deadline = time.monotonic() + timeout_s
    admin = open_admin_client(settings, on_error)
    while True:
        try:
            admin.list_topics(timeout=min(_STEP_S, timeout_s))
        except KafkaException:
            # Serves the error callback.
            admin.poll(0)
            if refusals:
                raise KafkaException(refusals[-1]) from None
            if time.monotonic() > deadline:
                raise
        else:
            return admin
