"""Passwords of PLAIN and SCRAM that change in their file: open clients take them up at their next connection.

What librdkafka reads once and cannot be told again needs a restart: certificates, their keys, the client secret of
OAUTHBEARER (its tokens are renewed by the client itself). deploy/RUNBOOK.md says so.
"""

import threading
import weakref
from pathlib import Path
from typing import Any, TypeVar

import structlog
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from worker.settings.kafka_connection import KafkaConnection
from worker.settings.section import read_secret

log = structlog.get_logger()


class FollowingConsumer(Consumer):
    """A consumer that can be remembered without being kept alive."""


class FollowingProducer(Producer):
    """The same of a producer."""


Client = TypeVar("Client", bound=Consumer | Producer | AdminClient)

# Of the process, as its password is: who opens a client need not know that passwords change.
_open_clients: "weakref.WeakSet[Any]" = weakref.WeakSet()
_latest: list[str] = []
_lock = threading.Lock()


def following(client: Client) -> Client:
    """Return a client whose password will follow the file."""
    with _lock:
        _open_clients.add(client)
    return client


def with_latest_password(config: dict[str, Any]) -> dict[str, Any]:
    """Return a client's properties with the newest password that a follower has found."""
    return config | {"sasl.password": _latest[-1]} if _latest and "sasl.password" in config else config


class PasswordFollower:
    """Gives the open clients a password that has changed.

    Args:
        settings: Where the file is, and what was in it at the start.
    """

    def __init__(self, settings: KafkaConnection) -> None:
        self._settings = settings
        self._in_use = None if settings.sasl_password is None else settings.sasl_password.get_secret_value()
        self._fault: str | None = None

    def look(self) -> None:
        """Look once."""
        try:
            password = _content(self._settings.sasl_password_file)
        except (OSError, ValueError) as error:
            self._tell(str(error))
            return
        self._fault = None
        if password is None or password == self._in_use:
            return
        with _lock:
            # Before the clients are counted: one that is opened now gets it at its opening.
            _latest[:] = [password]
            clients = list(_open_clients)
        for client in clients:
            try:
                client.set_sasl_credentials(self._settings.sasl_username, password)
            except RuntimeError:
                # It was closed meanwhile.
                continue
        self._in_use = password
        log.info("kafka_password_changed", n_clients=len(clients))

    def _tell(self, fault: str) -> None:
        if fault != self._fault:
            log.warning("secret_unreadable", error=fault)
        self._fault = fault


def _content(path: Path | None) -> str | None:
    """Return what the password file holds, where one is set.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    # A pipe gives its password once, at the start.
    return read_secret(path, "sasl_password_file") if path is not None and path.is_file() else None
