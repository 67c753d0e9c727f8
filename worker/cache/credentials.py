"""User and password of Redis, read anew at every connection where they come from a file.

A connection that is open stays: Redis asks for a password once. What is refused at the next one is tried again with
what the file holds then.
"""

from pathlib import Path
from typing import cast

import redis
import structlog

from worker.cache.address import address_parts
from worker.settings.redis import RedisSettings
from worker.settings.section import read_secret

log = structlog.get_logger()


class FileCredentials(redis.CredentialProvider):
    """Credentials that follow `password_file`, or those of the address in `url_file`.

    Args:
        settings: With one of the two.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        in_url = address_parts(settings.url.get_secret_value()) if settings.url else {}
        self._user: str | None = settings.username or in_url.get("username")
        self._password = settings.password.get_secret_value() if settings.password else in_url.get("password", "")

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return what the file holds; what it held before where it cannot be read now."""
        try:
            self._read()
        except (OSError, ValueError):
            # Not the error's text: it may quote an address.
            log.warning(
                "secret_unreadable", error="redis: url_file or password_file cannot be read; the last one counts"
            )
        return (self._password,) if self._user is None else (self._user, self._password)

    def _read(self) -> None:
        settings = self._settings
        if (text := _content(settings.password_file, "password_file")) is not None:
            self._password = text
        elif (address := _content(settings.url_file, "url_file")) is not None:
            parts = address_parts(address)
            self._password = cast("str", parts.get("password", self._password))
            self._user = settings.username or parts.get("username")


def _content(path: Path | None, name: str) -> str | None:
    # A pipe gives its content once, at the start.
    return read_secret(path, name) if path is not None and path.is_file() else None


def follow_files(client: "redis.Redis", settings: RedisSettings) -> None:
    """Let a client that has not connected yet read its credentials anew at every connection, where files hold them."""
    options = client.connection_pool.connection_kwargs
    if settings.password_file is None and (settings.url_file is None or not options.get("password")):
        return
    for name in ("username", "password"):
        options.pop(name, None)
    options["credential_provider"] = FileCredentials(settings)
