"""Open Kafka clients get a password that changes in its file; new ones are opened with it."""

import gc
import os
from pathlib import Path
from typing import Any

import pytest
import structlog
from confluent_kafka import Consumer, Producer

from worker.kafka import credentials
from worker.kafka.client import open_admin_client, open_lookup_consumer, open_producer
from worker.kafka.credentials import PasswordFollower, following, with_latest_password
from worker.settings.kafka import KafkaSettings
from worker.settings.source import read_settings


@pytest.fixture(autouse=True)
def _process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_latest", [])


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    """Return a file that holds the password `first`."""
    path = tmp_path / "password"
    path.write_text("first\n")
    return path


@pytest.fixture
def settings(password_file: Path) -> KafkaSettings:
    """Return settings of a broker that is not there."""
    environment = {
        "BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "SASL_MECHANISM": "SCRAM-SHA-512",
        "SASL_USERNAME": "worker",
        "SASL_PASSWORD_FILE": str(password_file),
    }
    return read_settings({f"MODERATION_KAFKA__{name}": value for name, value in environment.items()}, None).kafka


class RecordingProducer(Producer):
    """A client that keeps what it is told."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.told: list[tuple[str, str]] = []

    def set_sasl_credentials(self, username: str, password: str) -> None:
        """Take both, as librdkafka does."""
        self.told.append((username, password))
        super().set_sasl_credentials(username, password)


@pytest.fixture
def client() -> RecordingProducer:
    """Return a client that follows."""
    return following(RecordingProducer({"bootstrap.servers": "127.0.0.1:9"}))


def test_open_clients_get_a_changed_password_once(
    client: RecordingProducer, settings: KafkaSettings, password_file: Path
) -> None:
    """Of every kind that the worker opens."""
    others = [
        open_lookup_consumer(settings),
        open_producer(settings, transactional_id=None, max_message_bytes=1_000_000),
        open_admin_client(settings),
    ]
    follower = PasswordFollower(settings)
    follower.look()
    assert client.told == []
    password_file.write_text("second\n")
    with structlog.testing.capture_logs() as lines:
        follower.look()
        follower.look()
    assert client.told == [("worker", "second")]
    assert lines == [{"event": "kafka_password_changed", "log_level": "info", "n_clients": lines[0]["n_clients"]}]
    assert lines[0]["n_clients"] >= 1 + len(others)


def test_a_client_that_is_opened_later_has_the_new_password(settings: KafkaSettings, password_file: Path) -> None:
    """A producer that was fenced is opened again; what the settings hold is of the start."""
    config = {"sasl.password": "first", "bootstrap.servers": "x"}
    assert with_latest_password(config) == config
    password_file.write_text("second")
    PasswordFollower(settings).look()
    assert with_latest_password(config) == config | {"sasl.password": "second"}
    assert with_latest_password({"bootstrap.servers": "x"}) == {"bootstrap.servers": "x"}


@pytest.mark.parametrize("spoil", [lambda path: path.write_text(""), lambda path: path.write_bytes(b"\xff\xfe\0")])
def test_a_file_that_cannot_be_read_leaves_the_password_and_is_told_once(
    client: RecordingProducer, settings: KafkaSettings, password_file: Path, spoil: Any
) -> None:
    """Half-written, or of another encoding."""
    follower = PasswordFollower(settings)
    spoil(password_file)
    with structlog.testing.capture_logs() as lines:
        follower.look()
        follower.look()
    assert [line["event"] for line in lines] == ["secret_unreadable"]
    assert client.told == []
    password_file.write_text("second")
    follower.look()
    assert client.told == [("worker", "second")]


def test_a_named_pipe_is_not_asked_again(settings: KafkaSettings, password_file: Path) -> None:
    """`--password <(vault read …)` gives it once; opening it again would wait for ever."""
    password_file.unlink()
    os.mkfifo(password_file)
    PasswordFollower(settings).look()
    assert with_latest_password({"sasl.password": "first"}) == {"sasl.password": "first"}


def test_a_client_that_is_gone_or_closed_is_passed_over(settings: KafkaSettings, password_file: Path) -> None:
    """Following keeps no client alive: a fenced producer's memory would stay."""
    gone = following(RecordingProducer({"bootstrap.servers": "127.0.0.1:9"}))
    closed: Consumer = open_lookup_consumer(settings)
    closed.close()
    n_open = len(credentials._open_clients)
    del gone
    gc.collect()
    assert len(credentials._open_clients) < n_open
    password_file.write_text("second")
    PasswordFollower(settings).look()
