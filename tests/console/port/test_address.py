"""Whose address counts: the connection's, or what a known proxy adds."""

from ipaddress import ip_network
from typing import Any

import pytest

from console.errors import SettingsError
from console.port.address import client_of
from console.settings.source import read_settings

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def _scope(peer: str | None, *forwarded: str) -> dict[str, Any]:
    return {
        "client": None if peer is None else (peer, 4711),
        "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded],
    }


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", (), "192.0.2.1"),
        ("192.0.2.1", ("203.0.113.9",), "192.0.2.1"),
        ("10.1.2.3", ("203.0.113.9",), "203.0.113.9"),
        ("::ffff:10.1.2.3", ("203.0.113.9",), "203.0.113.9"),
        ("fd00::1", ("2001:db8::1",), "2001:db8::/64"),
        ("2001:db8:1:2:3:4:5:6", (), "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::9", (), "2001:db8:1:2::/64"),
        ("10.1.2.3", ("198.51.100.7, 203.0.113.9",), "203.0.113.9"),
        ("10.1.2.3", ("198.51.100.7", "203.0.113.9"), "203.0.113.9"),
        ("10.1.2.3", ("203.0.113.9, unknown",), "10.1.2.3"),
        ("10.1.2.3", (), "10.1.2.3"),
        (None, ("203.0.113.9",), "None"),
    ],
)
def test_only_what_a_known_proxy_added_last_counts(peer: str | None, forwarded: tuple[str, ...], address: str) -> None:
    """Else whoever guesses passwords has a new address for each try."""
    assert client_of(_scope(peer, *forwarded), PROXIES) == address


def test_a_network_that_is_none_is_refused() -> None:
    """By its setting's name."""
    with pytest.raises(SettingsError, match="forwarded_from names 'ingress'"):
        read_settings({"CONSOLE_HTTP__FORWARDED_FROM": "10.0.0.0/8, ingress"}, None)
