"""Logins of pages: a signed cookie in place of a key, for browsers, which send no key of their own.

The cookie names no key and holds none. It says until when it counts, and its signature is made with the key's hash, so
that it ends with the key's entry in the file. It counts for pages only, never for the APIs.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from console.errors import SettingsError
from console.port.keys import Caller, Keys, hash_of

COOKIE: Final = "verdictstream-session"
LOGIN_PATH: Final = "/login"
LASTS_S: Final = 12 * 3_600

_PAGES: Final = ("/try", "/live", "/review", "/chat", "/policy", "/model")
"""Of each page: its path, and what stands below it."""
_OPEN: Final = (LOGIN_PATH, "/static")
_LEAST_SECRET_BYTES: Final = 32
_MOST_COOKIE_CHARACTERS: Final = 200


class Sessions:
    """Signs cookies and reads them.

    Args:
        keys: A session ends where its key does.
        secret: Signs; processes that share it know each other's cookies.
        clock: Seconds since 1970, which other processes and later starts share.
    """

    def __init__(self, keys: Keys, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._secret = secret
        self._clock = clock

    def cookie(self, key: str) -> str | None:
        """Return the cookie for a key, None for nobody's."""
        if self._keys.caller(key) is None:
            return None
        until = str(int(self._clock()) + LASTS_S)
        return f"{until}.{self._signature(until, hash_of(key))}"

    def caller(self, cookie: str) -> Caller | None:
        """Return who has logged in, None where the cookie does not count."""
        until, _, signature = cookie.partition(".")
        if len(cookie) > _MOST_COOKIE_CHARACTERS or not (until.isascii() and until.isdecimal()):
            return None
        if int(until) <= self._clock():
            return None
        found = signature.encode()
        return self._keys.caller_named(
            lambda digest: hmac.compare_digest(self._signature(until, digest).encode(), found)
        )

    def _signature(self, until: str, key_hash: str) -> str:
        return hmac.new(self._secret, f"{until}.{key_hash}".encode(), hashlib.sha256).hexdigest()


def session_secret(path: Path | None) -> bytes:
    """Return what signs cookies: the file's content, or where there is none something new.

    Raises:
        SettingsError: the file cannot be read or is too short.
    """
    if path is None:
        return secrets.token_bytes(_LEAST_SECRET_BYTES)
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}); expected a file of random bytes") from None
    if len(secret) < _LEAST_SECRET_BYTES:
        raise SettingsError(
            f"{path}: has {len(secret)} bytes; expected at least {_LEAST_SECRET_BYTES} random ones, as from "
            "`openssl rand -hex 32`"
        )
    return secret


def is_page(path: str) -> bool:
    """Say whether a path belongs to a page, so that a login opens it."""
    return path == "/" or _is_below(path, _PAGES) or is_open(path)


def is_open(path: str) -> bool:
    """Say whether a path of the pages is there before a login: it holds nothing of anybody's."""
    return _is_below(path, _OPEN)


def _is_below(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in roots)
