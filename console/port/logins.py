"""A login, with a name and a password or with an API key: who may try, and what cookie it gives.

Invariant: a name that nobody has, a wrong password and a user's that was right once are told apart by nothing, neither
text nor time.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import structlog

from console.errors import Problem
from console.port.attempts import Attempts, SharedAttempts
from console.port.sessions import Sessions
from console.port.threads import DATABASE
from console.port.users import Users

log = structlog.get_logger()

_HASHES_AT_ONCE: Final = 2
"""Each takes a core for a while, and 32 MiB or more."""
_MOST_WAITING: Final = 20
_BUSY_RETRY_S: Final = 2
_MOST_CHARACTERS: Final = 1_024
"""Of a password: a longer one is nobody's, and takes long to hash."""


class Logins:
    """Checks who logs in; for one event loop.

    Args:
        sessions: Knows keys and users, and signs the cookie.
        on_refused: Told why, one of `password`, `key`, `rate`.
        attempts: How often one may fail, as this process counts.
        shared: The same as several processes count it, where they do; it goes first.
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        on_refused: Callable[[str], None] = lambda _reason: None,
        attempts: Attempts | None = None,
        shared: SharedAttempts | None = None,
    ) -> None:
        self._sessions = sessions
        self._keys = sessions.keys
        self._users = sessions.users
        self._on_refused = on_refused
        self._attempts = attempts or Attempts()
        self._shared = shared
        self._hashing = asyncio.Semaphore(_HASHES_AT_ONCE)
        self._n_waiting = 0

    async def with_key(self, key: str, address: str) -> str:
        """Return the cookie for an API key.

        Raises:
            Problem: 401, it is nobody's; 429, too many were tried from the address; 503, the database hangs.
        """
        await self._check_attempts(None, address)
        binding = None if self._keys is None else self._keys.binding(key)
        if binding is None:
            self._on_refused("key")
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "invalid_api_key",
                "this key is not known here; expected one of the keys file",
            )
        await self._succeeded(None, address)
        log.info("logged_in", by="key")
        return self._sessions.cookie(binding)

    async def with_password(self, name: str, password: str, address: str) -> str:
        """Return the cookie for a local user.

        Raises:
            Problem: 401, name and password do not belong together; 429, too many were tried, or try at once; 503, the
                database hangs.
        """
        await self._check_attempts(name, address)
        is_right = self._users is not None and await self._is_of(self._users, name, password)
        # Asked anew: the file may have changed while the password was hashed.
        binding = self._users.binding(name) if self._users is not None and is_right else None
        if binding is None:
            self._on_refused("password")
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "invalid_login",
                "name and password do not belong together; expected those of the users file",
            )
        await self._succeeded(name, address)
        log.info("logged_in", by="password", person=name)
        return self._sessions.cookie(binding)

    async def _is_of(self, users: Users, name: str, password: str) -> bool:
        if self._n_waiting >= _MOST_WAITING:
            self._on_refused("rate")
            raise _too_many(_BUSY_RETRY_S)
        hashed = users.hash_of(name)
        self._n_waiting += 1
        try:
            async with self._hashing:
                is_right = await asyncio.to_thread(hashed.is_of, password[:_MOST_CHARACTERS])
        finally:
            self._n_waiting -= 1
        return is_right and len(password) <= _MOST_CHARACTERS and users.hash_of(name) == hashed

    async def _check_attempts(self, name: str | None, address: str) -> None:
        wait_s = None if self._shared is None else await DATABASE.call(self._shared.wait_s, name, address)
        if wait_s is None:
            wait_s = self._attempts.wait_s(name, address)
        if wait_s:
            self._on_refused("rate")
            raise _too_many(wait_s)

    async def _succeeded(self, name: str | None, address: str) -> None:
        self._attempts.succeeded(name, address)
        if self._shared is not None:
            await DATABASE.call(self._shared.succeeded, name, address)


def _too_many(wait_s: int) -> Problem:
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too_many_logins",
        f"too many logins failed for this name or address; try again in {wait_s} s",
        retry_after_s=wait_s,
    )
