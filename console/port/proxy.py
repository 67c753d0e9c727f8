"""People whom a proxy names in headers, believed only from its addresses and with the secret that it shares.

Anybody can send headers. So those of another address, without the secret, or more than one of a kind are no identity;
they are counted and warned of, since they mean a mistake or an attempt.
"""

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final

import structlog
from starlette.types import Scope

from console.errors import Problem
from console.port.address import is_within, peer_of
from console.port.keys import Caller
from console.port.rate import RateLimits
from console.port.roles import Role, may
from console.settings.proxy import ProxySettings

_ACTOR: Final = re.compile(r"[!-~]{1,128}")
_HASH_CHARACTERS: Final = 32
_WARN_EVERY_S: Final = 60.0

log = structlog.get_logger()


class ProxyPeople:
    """Reads who asks.

    Args:
        settings: Addresses, headers, roles of groups.
        secret: What the proxy sends.
        limits: Rate limit of each person; None: none.
        on_ignored: Told why headers did not count: `address`, `secret` or `repeated`.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        settings: ProxySettings,
        secret: bytes,
        *,
        limits: RateLimits | None = None,
        on_ignored: Callable[[str], None] = lambda _reason: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._networks = settings.networks
        self._roles = {group: Role(role) for group, role in settings.role_of_group.items()}
        self._secret_header = settings.secret_header.lower().encode()
        self._user_header = settings.user_header.lower().encode()
        self._groups_header = settings.groups_header.lower().encode()
        self._secret = secret
        self._limits = limits
        self._on_ignored = on_ignored
        self._clock = clock
        self._warned_s: dict[str, float] = {}

    def caller(self, scope: Scope) -> Caller | None:
        """Return whom the proxy names; None where no headers do, or none that count.

        Raises:
            Problem: 403, the person is in no group that has a role.
        """
        users = _values(scope, self._user_header)
        secrets = _values(scope, self._secret_header)
        if not users and not secrets:
            return None
        groups = _values(scope, self._groups_header)
        if (reason := self._ignored(scope, users, secrets, groups)) is not None:
            self._warn(reason)
            return None
        if not users or not users[0].strip():
            # The proxy lets some paths through without a login.
            return None
        roles = [
            self._roles[group]
            for one in groups
            for part in one.decode("utf-8", "replace").split(",")
            if (group := part.strip()) in self._roles
        ]
        if not roles:
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "role_needed",
                "the proxy names you, and none of your groups has a role here; ask whoever keeps CONSOLE_PROXY__ROLES",
            )
        name = actor_of(users[0].strip())
        return Caller(name, None if self._limits is None else self._limits.of(name), _highest(roles), login="proxy")

    def _ignored(
        self, scope: Scope, users: Sequence[bytes], secrets: Sequence[bytes], groups: Sequence[bytes]
    ) -> str | None:
        if not is_within(peer_of(scope), self._networks):
            return "address"
        if len(secrets) != 1 or not hmac.compare_digest(secrets[0], self._secret):
            return "secret"
        # A proxy that appends to what a client sent would leave both, and nobody can tell which is whose.
        return "repeated" if len(users) > 1 or len(groups) > 1 else None

    def _warn(self, reason: str) -> None:
        self._on_ignored(reason)
        now_s = self._clock()
        if now_s - self._warned_s.get(reason, -_WARN_EVERY_S) >= _WARN_EVERY_S:
            self._warned_s[reason] = now_s
            log.warning(
                "proxy_identity_ignored",
                reason=reason,
                remedy="compare CONSOLE_PROXY__ADDRESSES and the secret with the proxy's, or find out who else sends "
                "its headers; moderation_console_identity_ignored_total counts them all",
            )


def actor_of(name: bytes) -> str:
    """Return the opaque id of a person: the name as it is where that can be one, else its digest."""
    text = name.decode("latin-1")
    if _ACTOR.fullmatch(text):
        return text
    return f"sha256:{hashlib.sha256(name).hexdigest()[:_HASH_CHARACTERS]}"


def _highest(roles: Sequence[Role]) -> Role:
    return next(role for role in reversed(Role) if any(may(one, role) for one in roles))


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]
