"""Logins of pages: a signed cookie in place of a key, for browsers, which send no key of their own.

The cookie names nobody and holds no key. It says until when it counts, and its signature covers the whole entry of the
key or the user: it ends where the entry changes or goes. It counts for pages only, never for the APIs.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from console.errors import SettingsError
from console.port.keys import Caller, Keys
from console.port.users import Users

COOKIE: Final = "verdictstream-session"
"""Over plain HTTP; behind TLS `HOST_COOKIE`, which browsers take from this very host only."""
HOST_COOKIE: Final = f"__Host-{COOKIE}"
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
        keys: Of a file, or None; a session ends where its key's entry does.
        secret: Signs; processes that share it know each other's cookies.
        clock: Seconds since 1970, which other processes and later starts share.
        users: Of a file, or None; the same.
    """

    def __init__(
        self,
        keys: Keys | None,
        secret: bytes,
        clock: Callable[[], float] = time.time,
        *,
        users: Users | None = None,
    ) -> None:
        self.keys = keys
        self.users = users
        self._secret = secret
        self._clock = clock

    def cookie(self, binding: str) -> str:
        """Return the cookie for an entry."""
        until = str(int(self._clock()) + LASTS_S)
        return f"{until}.{self._signature(until, binding)}"

    def caller(self, cookie: str) -> Caller | None:
        """Return who has logged in, None where the cookie does not count."""
        until, _, signature = cookie.partition(".")
        if len(cookie) > _MOST_COOKIE_CHARACTERS or not (until.isascii() and until.isdecimal()):
            return None
        if int(until) <= self._clock():
            return None
        found = signature.encode()
        for binding, caller in self._logins():
            if hmac.compare_digest(self._signature(until, binding).encode(), found):
                return replace(caller, login="cookie")
        return None

    def _logins(self) -> Iterator[tuple[str, Caller]]:
        for entries in (self.keys, self.users):
            if entries is not None:
                yield from entries.logins()

    def _signature(self, until: str, binding: str) -> str:
        return hmac.new(self._secret, f"{until}.{binding}".encode(), hashlib.sha256).hexdigest()


def cookie_name(*, is_behind_tls: bool) -> str:
    """Return the name of the cookie.

    Args:
        is_behind_tls: Whether browsers reach the port over TLS. Then a cookie of the plain name does not count: a
            neighbour under the same domain could have set it.
    """
    return HOST_COOKIE if is_behind_tls else COOKIE


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
