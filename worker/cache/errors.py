"""What to do about a Redis that refuses: a cache that is away comes back, one that refuses does not by itself."""

import ssl
from collections.abc import Iterator, Sequence
from typing import Final

import redis
from redis.exceptions import AuthenticationError, NoPermissionError

ACL_RULES: Final = (
    "~verdict:*",
    "+get",
    "+set",
    "+del",
    "+evalsha",
    "+script|load",
    "+client|setname",
)
"""The least rights of the worker's Redis user, which Redis 6.2, 7.0 and 8.0 and Valkey 8.1 and 9.1 all know.

`worker.cache.connection.connect` asks for nothing else, so none of the commands that only newer servers know is needed.
An ad server needs ~verdict:* with +get or +mget only.
"""


def acl_rules(key_prefix: str) -> tuple[str, ...]:
    """Return the least rights of a worker whose keys begin with `key_prefix`."""
    return (f"~{key_prefix}*", *ACL_RULES[1:])


_REFUSED_IN_SCRIPT: Final = ("ACL failure in script", "user executing the script can't")
"""How Redis 7 and Redis 6 say that a script ran a command that its user may not run."""


def remedy(error: redis.RedisError, rules: Sequence[str] = ACL_RULES) -> str | None:
    """Return what to check where Redis or TLS refuses the connection or a command; None where Redis is just away.

    The text is fixed: Redis' own may quote a command's arguments.
    """
    if isinstance(error, AuthenticationError):
        return "Redis refuses the credentials; check MODERATION_REDIS__USERNAME and password, or those of the url"
    if isinstance(error, redis.ResponseError) and "DB index" in str(error):
        return (
            "Redis has no database of that number; expected one below its `databases`, 16 by default; check the number "
            "at the end of MODERATION_REDIS__URL"
        )
    if isinstance(error, NoPermissionError) or any(words in str(error) for words in _REFUSED_IN_SCRIPT):
        return (
            f"Redis refuses a command; expected an ACL user with at least {' '.join(rules)} (and +select for a "
            "database other than 0)"
        )
    for cause in causes(error):
        if isinstance(cause, ssl.SSLError):
            return (
                "the TLS connection to Redis is refused; expected a server and a worker that trust each other; check "
                "the certificates (MODERATION_REDIS__SSL_…), who signed them, their names and their expiry"
            )
        if isinstance(cause, OSError) and isinstance(cause, FileNotFoundError | PermissionError):
            return "a certificate or socket cannot be read; check MODERATION_REDIS__SSL_… and the url"
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what is behind it, which redis-py wraps."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
