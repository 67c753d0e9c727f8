"""Where answers on appeals may be sent."""

from collections.abc import Callable, Sequence

import pytest

from console.outbox.target import Hosts, HostUnknown, TargetRefused, address_of, target_of

HOSTS = Hosts.of("hooks.example, api.example:8443, localhost, 127.0.0.1, 10.0.0.5", "localhost,127.0.0.1, 10.0.0.5")


def gives(*addresses: str) -> Callable[[str, int], Sequence[str]]:
    """Return a look-up that gives these addresses."""
    return lambda _host, _port: addresses


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://hooks.example/appeals?id=7", "hooks.example", 443),
        ("https://HOOKS.example./x", "hooks.example", 443),
        ("https://api.example:8443/", "api.example", 8443),
        ("http://localhost:9000/x", "localhost", 9000),
        ("http://127.0.0.1:9000/x", "127.0.0.1", 9000),
        ("https://10.0.0.5/x", "10.0.0.5", 443),
    ],
)
def test_an_allowed_host_is_taken(url: str, host: str, port: int) -> None:
    """Over TLS, and on this machine without."""
    found = target_of(url, HOSTS)
    assert (found.host, found.port) == (host, port)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://other.example/x", "not in appeals.webhook_hosts"),
        ("https://hooks.example.evil.test/x", "not in appeals.webhook_hosts"),
        ("https://api.example/x", "not in appeals.webhook_hosts"),
        ("http://hooks.example/x", "expected https"),
        ("http://10.0.0.5/x", "expected https"),
        ("https://me:secret@hooks.example/x", "user name"),
        ("https://hooks.example\\@evil.test/x", "user name"),
        ("https://hooks.example/x#y", "fragment"),
        ("ftp://hooks.example/x", "another scheme"),
        ("https://hooks.example:99999/x", "no address"),
        ("//hooks.example/x", "another scheme"),
        ("https://hooks.example/a b", "plain ASCII"),
        ("https://hooks.exämple/", "plain ASCII"),
        ("https://hooks.example/" + "a" * 2_000, "too long"),
        ("https:///x", "no host"),
        ("", "no host"),
    ],
)
def test_another_address_is_refused_and_not_quoted(url: str, told: str) -> None:
    """A server that posts wherever it is told reaches what only it can reach."""
    with pytest.raises(TargetRefused, match=told) as refused:
        target_of(url, HOSTS)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "127.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104  nothing listens there
        "224.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
        "fec0::1",
        "::a00:1",
        "::ffff:0:a00:1",
        "64:ff9b:1::a00:1",
        "5f00::1",
    ],
)
def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    """Whoever owns an allowed name chooses its address; one of several is enough."""
    target = target_of("https://hooks.example/x", HOSTS)
    with pytest.raises(TargetRefused, match="private"):
        address_of(target, HOSTS, gives("93.184.216.34", address))


def test_a_public_address_is_taken_and_a_private_one_where_the_operator_says_so() -> None:
    """The address that is returned is the one that is connected to."""
    assert address_of(target_of("https://hooks.example/", HOSTS), HOSTS, gives("93.184.216.34")) == "93.184.216.34"
    assert address_of(target_of("https://hooks.example/", HOSTS), HOSTS, gives("2606:2800::1")) == "2606:2800::1"
    assert address_of(target_of("https://10.0.0.5/", HOSTS), HOSTS) == "10.0.0.5"


def test_a_name_without_an_address_is_tried_again() -> None:
    """A name server may be away."""

    def unknown(_host: str, _port: int) -> Sequence[str]:
        raise OSError

    target = target_of("https://hooks.example/", HOSTS)
    for look_up in (unknown, gives()):
        with pytest.raises(HostUnknown):
            address_of(target, HOSTS, look_up)
