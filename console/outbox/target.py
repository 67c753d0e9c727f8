"""Where an answer may be sent: an allowed host, over TLS, at an address that is not inside our own network.

The address is looked up once and connected to as it was found, so that a name cannot lead elsewhere in between.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from console.errors import SettingsError

MAX_URL_CHARACTERS: Final = 2_000
_PORTS: Final = {"https": 443, "http": 80}
_NO_HOST: Final = frozenset("/@*?# \\")
_LOOPBACK_NAMES: Final = frozenset({"localhost"})


class TargetRefused(Exception):  # noqa: N818  the name says what happened
    """Nothing may be sent there; its text says why and quotes nothing of the address."""


class HostUnknown(Exception):  # noqa: N818  the name says what happened
    """The host's name is not known now."""


class Target(NamedTuple):
    """An address that was checked, but not looked up."""

    url: str
    scheme: str
    host: str
    port: int


@dataclass(frozen=True)
class Hosts:
    """Who may be sent to."""

    allowed: frozenset[str]
    """Names in small letters, each with `:port` where only that one is meant."""
    private: frozenset[str]
    """Those of them whose address may be private."""

    @classmethod
    def of(cls, webhook_hosts: str, private_hosts: str) -> "Hosts":
        """Return the hosts of the settings.

        Raises:
            SettingsError: one is an address or a pattern: no host would ever equal it.
        """
        hosts = cls(_parts(webhook_hosts), _parts(private_hosts))
        for part in sorted(hosts.allowed | hosts.private):
            if _NO_HOST & set(part):
                raise SettingsError(
                    f"appeals.webhook_hosts: found {part}; expected names: hooks.example, or hooks.example:8443"
                )
        return hosts


def target_of(url: str, hosts: Hosts) -> Target:
    """Check an address.

    Raises:
        TargetRefused: it is not one of an allowed host over https, or over http on this machine.
    """
    if len(url) > MAX_URL_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url:
        raise TargetRefused(
            f"found an address that is too long or no plain ASCII; expected at most {MAX_URL_CHARACTERS} characters"
        )
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise TargetRefused("found no address; expected https://HOST/PATH") from None
    if parts.scheme not in _PORTS or not host:
        raise TargetRefused("found another scheme or no host; expected https://HOST/PATH")
    if "@" in parts.netloc or parts.fragment:
        raise TargetRefused("found a user name or a fragment; expected none in https://HOST/PATH")
    port = _PORTS[parts.scheme] if port is None else port
    if not _is_in(hosts.allowed, host, port):
        raise TargetRefused("found a host that is not in appeals.webhook_hosts; expected one of them; ask the operator")
    if parts.scheme == "http" and not (_is_loopback(host) and _is_in(hosts.private, host, port)):
        raise TargetRefused("found http; expected https; http is for a host of this machine in appeals.private_hosts")
    return Target(url, parts.scheme, host, port)


def address_of(target: Target, hosts: Hosts, look_up: Callable[[str, int], Sequence[str]] | None = None) -> str:
    """Return the IP address to connect to.

    Args:
        target: What was checked.
        hosts: Who may be sent to.
        look_up: Gives the addresses of a name; None: the system's.

    Raises:
        HostUnknown: the name has no address now.
        TargetRefused: one of its addresses is private, and the host is not allowed as such.
    """
    try:
        found = (look_up or addresses)(target.host, target.port)
    except OSError as error:
        raise HostUnknown(f"the host's name is not known ({type(error).__name__}); check it, and the DNS") from error
    if not found:
        raise HostUnknown("the host's name has no address; check it, and the DNS")
    if not _is_in(hosts.private, target.host, target.port) and not all(map(_is_public, found)):
        raise TargetRefused(
            "the host's address is private or this machine's; expected a public one; the operator may name the host in "
            "appeals.private_hosts"
        )
    return found[0]


def addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the system looks them up."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        # A name may hide a private address in a form that is translated on the way.
        found = found.ipv4_mapped or found.sixtofour or found
        if isinstance(found, ipaddress.IPv6Address) and found in _NAT64:
            found = ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
    # Beyond it are site-local and translated addresses, some of which Python calls global.
    is_unicast = isinstance(found, ipaddress.IPv4Address) or found in _UNICAST
    return found.is_global and not found.is_multicast and is_unicast


_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def _is_loopback(host: str) -> bool:
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_in(hosts: frozenset[str], host: str, port: int) -> bool:
    return host in hosts or f"{host}:{port}" in hosts


def _parts(text: str) -> frozenset[str]:
    return frozenset(part for one in text.lower().split(",") if (part := one.strip()))
