"""Where a request comes from, as far as anybody can tell."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.types import Scope

Network = IPv4Network | IPv6Network

_CUSTOMER_BITS: Final = 64


def peer_of(scope: Scope) -> IPv4Address | IPv6Address | None:
    """Return the other end of the connection, an IPv4 address in IPv6's form as IPv4; None where there is none."""
    client = scope.get("client")
    return None if client is None else _address(client[0])


def is_within(address: IPv4Address | IPv6Address | None, networks: Sequence[Network]) -> bool:
    """Say whether an address is in one of the networks."""
    return address is not None and any(address in network for network in networks)


def client_of(scope: Scope, forwarders: Sequence[Network]) -> str:
    """Return the address that counts for limits; of IPv6 the network of 64 bits, all of which is one customer's.

    Args:
        scope: Of a request.
        forwarders: Proxies that add whom they heard to X-Forwarded-For. What others write there, and what stands before
            their last entry, is anybody's invention.
    """
    peer = peer_of(scope)
    if is_within(peer, forwarders):
        added = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        last = added[-1].decode("latin-1").rpartition(",")[2].strip() if added else ""
        if (named := _address(last)) is not None:
            return _counted(named)
    return "None" if peer is None else _counted(peer)


def _counted(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((int(address), _CUSTOMER_BITS), strict=False))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
