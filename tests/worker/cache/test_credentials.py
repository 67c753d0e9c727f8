"""Redis' user and password are read anew at every connection where they come from a file."""

import os
from pathlib import Path
from typing import Any

import pytest
import structlog

from worker.cache.connection import connect
from worker.settings.redis import RedisSettings
from worker.settings.source import read_settings

FIRST, SECOND = "first-c4n4ry", "second-c4n4ry"


def settings_of(**values: object) -> RedisSettings:
    """Return settings, as an operator gives them."""
    environment = {f"MODERATION_REDIS__{name.upper()}": str(value) for name, value in values.items()}
    return read_settings(environment | {"MODERATION_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9"}, None).redis


def connection_of(settings: RedisSettings) -> Any:
    """Return a connection that has not connected yet."""
    return connect(settings).connection_pool.make_connection()


def credentials_of(settings: RedisSettings) -> Any:
    """Return what the next connection of a client would show."""
    return connection_of(settings).credential_provider.get_credentials()


def test_a_password_file_is_read_at_every_connection(tmp_path: Path) -> None:
    """Kubernetes changes a mounted Secret in place."""
    path = tmp_path / "password"
    path.write_text(f"{FIRST}\n")
    settings = settings_of(url="redis://cache:6379/0", username="worker", password_file=path)
    first, second = connection_of(settings), connection_of(settings)
    assert first.credential_provider.get_credentials() == ("worker", FIRST)
    path.write_text(f"{SECOND}\n")
    for connection in (first, second):
        assert connection.credential_provider.get_credentials() == ("worker", SECOND)


def test_without_a_user_the_password_stands_alone(tmp_path: Path) -> None:
    """Redis' default user; and the user of an address stays."""
    path = tmp_path / "password"
    path.write_text(FIRST)
    assert credentials_of(settings_of(url="redis://cache:6379/0", password_file=path)) == (FIRST,)
    assert credentials_of(settings_of(url="redis://ann@cache:6379/0", password_file=path)) == ("ann", FIRST)


def test_the_credentials_of_an_address_in_a_file_are_read_anew(tmp_path: Path) -> None:
    """Many operators mount the whole address; its host is read once."""
    path = tmp_path / "url"
    path.write_text(f"redis://ann:{FIRST}@cache:6379/3")
    client = connect(settings_of(url_file=path))
    options = client.connection_pool.connection_kwargs
    assert (options["host"], options["db"], options.get("password")) == ("cache", 3, None)
    connection: Any = client.connection_pool.make_connection()
    assert connection.credential_provider.get_credentials() == ("ann", FIRST)
    path.write_text(f"redis://ann:{SECOND}@elsewhere:1/0")
    assert connection.credential_provider.get_credentials() == ("ann", SECOND)


@pytest.mark.parametrize("content", [b"", b"\xff", None])
def test_a_file_that_cannot_be_read_leaves_the_last_password(tmp_path: Path, content: bytes | None) -> None:
    """In the middle of a rotation, say; and the log quotes nothing."""
    path = tmp_path / "password"
    path.write_text(FIRST)
    connection = connection_of(settings_of(url="redis://cache/0", password_file=path))
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with structlog.testing.capture_logs() as lines:
        assert connection.credential_provider.get_credentials() == (FIRST,)
    assert FIRST not in str(lines)
    assert [line["event"] for line in lines] == ([] if content is None else ["secret_unreadable"])


def test_a_named_pipe_gives_its_password_once(tmp_path: Path) -> None:
    """Opening it again would stop the loop."""
    path = tmp_path / "password"
    path.write_text(FIRST)
    connection = connection_of(settings_of(url="redis://cache/0", password_file=path))
    path.unlink()
    os.mkfifo(path)
    assert connection.credential_provider.get_credentials() == (FIRST,)


def test_settings_without_files_are_given_as_they_are() -> None:
    """Nothing can change there."""
    client = connect(settings_of(url=f"redis://ann:{FIRST}@cache/0"))
    options = client.connection_pool.connection_kwargs
    assert (options["username"], options["password"]) == ("ann", FIRST)
    assert "credential_provider" not in options
