"""Whether Kafka is there, and how long it has not been: past a stated time the process exits non-zero.

A client library reports "all brokers down" once and stays silent when they return, so while they count as down, a cheap
request asks them.
"""

import time
from collections.abc import Callable
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException

from worker.errors import Fatal
from worker.kafka.errors import describe, fatal, is_refusal, kafka_error
from worker.process.metrics import Metrics

log = structlog.get_logger()

_PROBE_EVERY_S: Final = 2.0


class Reachability:
    """Keeps the time since when no broker answers.

    Args:
        exit_after_s: Longest time without a broker.
        metrics: Where `kafka_up` is shown: 0 until a first sign of life.
        probe: Opens a new connection and asks a broker anything; raises KafkaException where none answers, with the
            refusal where the brokers refuse.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        exit_after_s: float,
        metrics: Metrics,
        probe: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exit_after_s = exit_after_s
        self._metrics = metrics
        self._probe = probe
        self._clock = clock
        self._down_since: float | None = None
        self._last_probe = 0.0
        self._refusal: KafkaError | None = None
        self._is_shown_up = False

    @property
    def reachable(self) -> bool:
        """Whether a broker counts as reachable."""
        return self._down_since is None

    def on_error(self, error: KafkaError) -> None:
        """Take a client's error callback; may run in any thread and must not raise."""
        if is_refusal(error):
            self._refusal = error
        elif error.code() == KafkaError._ALL_BROKERS_DOWN and self._down_since is None:
            self._down_since = self._clock()
            self._show(is_up=False)
            log.warning("kafka_unreachable", exit_after_s=self._exit_after_s)

    def seen(self) -> None:
        """Take a sign of life."""
        if self._down_since is not None:
            log.info("kafka_reachable", down_s=round(self._clock() - self._down_since, 1))
            self._down_since = None
        # Called for every record.
        if not self._is_shown_up:
            self._show(is_up=True)

    def _show(self, *, is_up: bool) -> None:
        self._is_shown_up = is_up
        self._metrics.kafka_up.set(is_up)

    def check(self) -> None:
        """Probe while Kafka counts as down, or after a refusal.

        One connection may be refused while a broker stops or another one is set up wrong: the refusal counts when no
        broker takes a new connection either.

        Raises:
            Fatal: it has been down for too long, or it refuses the worker's credentials.
        """
        if self._down_since is None and self._refusal is None:
            return
        if self._clock() - self._last_probe < _PROBE_EVERY_S:
            return
        try:
            self._probe()
        except KafkaException as error:
            self._check_absence(kafka_error(error))
        else:
            self._forget_refusal()
            self.seen()
        self._last_probe = self._clock()

    def _check_absence(self, cause: KafkaError) -> None:
        if is_refusal(cause):
            raise fatal(cause, "connecting to Kafka")
        if self._down_since is None:
            return
        down_s = self._clock() - self._down_since
        if down_s > self._exit_after_s:
            raise Fatal(
                f"Kafka: no broker has answered for {down_s:.0f} s; expected one within {self._exit_after_s:.0f} s "
                "(MODERATION_KAFKA__UNREACHABLE_EXIT_S); check the brokers and the network"
            )

    def _forget_refusal(self) -> None:
        if self._refusal is not None:
            log.warning("kafka_connection_refused", error=describe(self._refusal), others="answer")
            self._refusal = None
