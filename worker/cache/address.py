"""What a Redis address says, as the client will read it: the settings are checked against nothing else.

redis-py's parser takes a part that it does not understand for one that is not there, and hands unknown options to the
connection, whose first attempt then fails. So an address is read strictly before it gets there.

Apart from `connection`, because the settings are built before there is anything to connect with.

Invariant: no text of an error quotes the address, which may hold a password.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from redis.connection import parse_url

_SCHEMES: Final = ("redis://", "rediss://", "unix://")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?")
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_OPTIONS: Final[Mapping[str, re.Pattern[str]]] = {
    "db": _NUMBER,
    "protocol": re.compile("[23]"),
    "ssl_cert_reqs": re.compile("none|optional|required"),
    "ssl_check_hostname": re.compile("true|false|yes|no|1|0", re.IGNORECASE),
}
_NAME: Final = re.compile("[a-z_]{1,32}")
_INSTEAD: Final[Mapping[str, str]] = {
    **dict.fromkeys(("ssl", "tls", "use_ssl", "use_tls"), "rediss:// in the place of redis:// for TLS"),
    **dict.fromkeys(
        ("timeout", "socket_timeout", "socket_connect_timeout", "connect_timeout"), "MODERATION_REDIS__TIMEOUT_S"
    ),
    **dict.fromkeys(("user", "username"), "MODERATION_REDIS__USERNAME"),
    "password": "MODERATION_REDIS__PASSWORD_FILE",
    "ssl_ca_certs": "MODERATION_REDIS__SSL_CA_LOCATION",
    "ssl_certfile": "MODERATION_REDIS__SSL_CERTIFICATE_LOCATION",
    "ssl_keyfile": "MODERATION_REDIS__SSL_KEY_LOCATION",
    "ssl_password": "MODERATION_REDIS__SSL_KEY_PASSWORD_FILE",
}


def address_parts(url: str) -> dict[str, Any]:
    """Return the parts of an address that the client would use, `username` and `password` among them.

    Raises:
        ValueError: it is no redis://, rediss:// or unix:// address, or a part of it is not understood.
    """
    if not url.startswith(_SCHEMES):
        raise ValueError("not a Redis address; expected redis://host:port/db, rediss://… (TLS) or unix://…")
    if any(not character.isprintable() or character == " " for character in url):
        raise ValueError("the Redis address holds a blank or a control character; expected none, or percent-encoded")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(_not_understood("the port")) from None
    # An unencoded /, ? or # ends the password, and what follows it passes for a path.
    if "@" in parts.path + parts.query or parts.fragment or url.endswith("#"):
        raise ValueError(_not_understood("what stands behind the host"))
    if parts.scheme == "unix":
        _check_socket(parts)
    else:
        _check_host(parts, port)
    options = _options(parts)
    if "db" in options and parts.scheme != "unix" and parts.path.strip("/"):
        raise ValueError("the Redis address names its database twice, in path and option; expected one of them")
    found: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    return found


def shown_address(url: str) -> str:
    """Return host and port, or the socket, for a message: without user and password."""
    parts = address_parts(url)
    if "path" in parts:
        return str(parts["path"])
    host = str(parts["host"])
    return f"{f'[{host}]' if ':' in host else host}:{parts.get('port', 6_379)}"


def _not_understood(what: str) -> str:
    return (
        f"{what} of the Redis address is not understood; expected redis://user:password@host:port/db, with the special "
        "characters of user and password percent-encoded (/ is %2F, @ is %40, # is %23, ? is %3F)"
    )


def _check_host(parts: SplitResult, port: int | None) -> None:
    if not parts.hostname:
        raise ValueError("the Redis address names no host; expected redis://host:port/db")
    if not _HOST.fullmatch(parts.hostname):
        raise ValueError(_not_understood("the host"))
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError(_not_understood("the port"))
    if parts.path not in {"", "/"} and not _NUMBER.fullmatch(parts.path[1:]):
        raise ValueError("the database of the Redis address is no number; expected redis://host:port/db, as in …/0")


def _check_socket(parts: SplitResult) -> None:
    if not parts.path.strip("/"):
        raise ValueError("the Redis address names no socket; expected unix:///path/of/redis.sock")
    # unix://folder/redis.sock would be read as /redis.sock.
    if parts.netloc.rpartition("@")[2]:
        raise ValueError("the Redis address names a host before its socket; expected three slashes: unix:///path")


def _options(parts: SplitResult) -> dict[str, str]:
    """Return the options behind the ?.

    Raises:
        ValueError: one is unknown, is there twice, or has a value that it cannot have.
    """
    found: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _OPTIONS or (name.startswith("ssl_") and parts.scheme != "rediss"):
            raise ValueError(_refusal_of_option(name))
        if name in found or not _OPTIONS[name].fullmatch(value):
            raise ValueError(f"the option {name} of the Redis address has not one value that it may have")
        found[name] = value
    return found


def _refusal_of_option(name: str) -> str:
    if name in _OPTIONS:
        return f"the option {name} of the Redis address is for rediss:// alone; leave it out, or use rediss://"
    # Anything else than a name may be the end of a password.
    shown = f"the option {name}" if _NAME.fullmatch(name) else "an option"
    expected = _INSTEAD.get(name) or f"none but {', '.join(_OPTIONS)}"
    return f"{shown} of the Redis address is not understood; expected {expected}; leave it out"
