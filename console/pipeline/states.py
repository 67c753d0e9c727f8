"""Whether Kafka, Redis and the database answer, and since when: asked again and again, beside all requests."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import redis
import structlog
from confluent_kafka import KafkaException

from console.pipeline.errors import told
from worker.cache.connection import connect
from worker.cache.errors import remedy
from worker.errors import Fatal
from worker.kafka.client import KafkaAdmin
from worker.kafka.errors import describe, kafka_error
from worker.kafka.probe import open_admin
from worker.settings.kafka import KafkaSettings
from worker.settings.redis import RedisSettings

log = structlog.get_logger()

_EVERY_S: Final = 3.0
_TIMEOUT_S: Final = 3.0
_CLOSE_S: Final = 10.0

Check = Callable[[], str | None]
"""Asks a service; returns why it cannot be used, None where it can. Waits for a bounded time."""


class ServiceState(NamedTuple):
    """What is known of one service."""

    is_there: bool | None
    """None before the first answer."""
    since_ms: int
    """Since when it has been so."""
    error: str | None

    def document(self) -> dict[str, Any]:
        """Return it for the pages."""
        return self._asdict()


class States:
    """Keeps the states; each service is asked in a thread of its own, so that one that hangs hides no other.

    Args:
        checks: By the name of a service what asks it.
        clock: Milliseconds since 1970.
    """

    def __init__(
        self, checks: Mapping[str, Check], clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self._checks = dict(checks)
        self._clock = clock
        self._states = {name: ServiceState(None, clock(), None) for name in checks}
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, args=(name,), name=f"state-{name}", daemon=True) for name in checks
        ]

    def start(self) -> None:
        """Begin to ask."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Ask no more."""
        self._closing.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_CLOSE_S)

    def now(self) -> dict[str, ServiceState]:
        """Return the states, by the name of the service."""
        return dict(self._states)

    def look(self, name: str) -> None:
        """Ask one service, and keep what it says."""
        error = self._checks[name]()
        old = self._states[name]
        is_there = error is None
        if old.is_there is is_there:
            self._states[name] = old._replace(error=error)
            return
        self._states[name] = ServiceState(is_there, self._clock(), error)
        if not is_there:
            log.warning("service_away", service=name, error=error)
        elif old.is_there is False:
            log.info("service_back", service=name, away_s=round((self._clock() - old.since_ms) / 1_000, 1))

    def _watch(self, name: str) -> None:
        while not self._closing.is_set():
            self.look(name)
            self._closing.wait(_EVERY_S)


class KafkaCheck:
    """Asks the brokers over one connection that is kept.

    Args:
        settings: Kafka settings.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings.model_copy(update={"request_timeout_s": _TIMEOUT_S})
        self._admin: KafkaAdmin | None = None

    def __call__(self) -> str | None:
        """Ask for nothing but an answer."""
        try:
            # The first connection learns why it is refused; later ones say that nobody answers.
            self._admin = self._admin or open_admin(self._settings)
            self._admin.poll(0)
            self._admin.list_topics(self._settings.verdict_topic, timeout=_TIMEOUT_S)
        except Fatal as error:
            return told(str(error))
        except KafkaException as error:
            return describe(kafka_error(error))
        return None


class RedisCheck:
    """Asks Redis.

    Args:
        settings: With an address.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self._client = connect(settings, timeout_s=_TIMEOUT_S)
        self._key = f"{settings.key_prefix}console:state"

    def __call__(self) -> str | None:
        """Read a key that is not there: a user with the worker's rights may do that, and not ping."""
        try:
            self._client.get(self._key)
        except redis.RedisError as error:
            # Its own text may quote an address with a password.
            return remedy(error) or f"Redis does not answer ({type(error).__name__})"
        return None
