"""People whom a proxy names: believed from its address and with its secret only."""

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from console.errors import Problem, SettingsError
from console.port.proxy import ProxyPeople, actor_of
from console.port.roles import Role
from console.settings.proxy import ROLES, ProxySettings
from console.settings.source import read_settings
from tests.console.port.test_rate import Clock

SECRET = b"x" * 32
GROUPS = "moderators=reviewer, leads=admin, everyone=viewer"


def settings(**other: Any) -> ProxySettings:
    """Return the settings of a proxy on this machine."""
    found = {"secret_file": Path("secret"), "addresses": "127.0.0.0/8, fd00::/8, ::1", "roles": GROUPS}
    return ProxySettings(**(found | other))


def _scope(*headers: tuple[str, str], address: str | None = "127.0.0.1") -> dict[str, Any]:
    return {
        "client": None if address is None else (address, 4711),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }


HAS_SECRET = ("x-verdictstream-proxy-secret", SECRET.decode())
ANNA = ("x-forwarded-user", "anna@example.org")
MODERATORS = ("x-forwarded-groups", "moderators")


def test_the_settings_name_every_role() -> None:
    """The settings stand below the port and cannot import it."""
    assert list(ROLES) == [role.value for role in Role]


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        ("moderators", Role.REVIEWER),
        ("other, leads ,everyone", Role.ADMIN),
        ("everyone,moderators", Role.REVIEWER),
    ],
)
def test_the_highest_role_of_a_persons_groups_counts(groups: str, role: Role) -> None:
    """Groups that are not named have none."""
    caller = ProxyPeople(settings(), SECRET).caller(_scope(HAS_SECRET, ANNA, ("x-forwarded-groups", groups)))
    assert caller is not None
    assert (caller.name, caller.role, caller.login) == ("anna@example.org", role, "proxy")


@pytest.mark.parametrize("groups", [(), (("x-forwarded-groups", ""),), (("x-forwarded-groups", "Moderators"),)])
def test_who_is_in_no_group_with_a_role_is_refused(groups: tuple[tuple[str, str], ...]) -> None:
    """A login at the company is no right to read chats."""
    with pytest.raises(Problem, match="none of your groups"):
        ProxyPeople(settings(), SECRET).caller(_scope(HAS_SECRET, ANNA, *groups))


@pytest.mark.parametrize(
    ("headers", "address", "reason"),
    [
        ((HAS_SECRET, ANNA, MODERATORS), "10.0.0.1", "address"),
        ((HAS_SECRET, ANNA, MODERATORS), None, "address"),
        ((ANNA, MODERATORS), "10.0.0.1", "address"),
        ((ANNA, MODERATORS), "127.0.0.1", "secret"),
        ((("x-verdictstream-proxy-secret", "y" * 32), ANNA, MODERATORS), "127.0.0.1", "secret"),
        ((HAS_SECRET, HAS_SECRET, ANNA, MODERATORS), "127.0.0.1", "secret"),
        ((HAS_SECRET, ANNA, ANNA, MODERATORS), "127.0.0.1", "repeated"),
        ((HAS_SECRET, ANNA, MODERATORS, ("x-forwarded-groups", "leads")), "127.0.0.1", "repeated"),
    ],
)
def test_headers_that_anybody_may_have_sent_name_nobody(
    headers: tuple[tuple[str, str], ...], address: str | None, reason: str
) -> None:
    """They are counted each time and warned of, without a name and at most once a minute."""
    clock, counted = Clock(), list[str]()
    people = ProxyPeople(settings(), SECRET, on_ignored=counted.append, clock=clock)
    with capture_logs() as lines:
        assert people.caller(_scope(*headers, address=address)) is None
        assert people.caller(_scope(*headers, address=address)) is None
        clock.now_s += 61
        assert people.caller(_scope(*headers, address=address)) is None
    assert counted == [reason] * 3
    assert [(line["event"], line["reason"]) for line in lines] == [("proxy_identity_ignored", reason)] * 2
    assert "anna" not in str(lines)


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "::1", "fd00::7"])
def test_an_address_counts_in_every_form(address: str) -> None:
    """A port that listens on :: sees IPv4 addresses as IPv6."""
    assert ProxyPeople(settings(), SECRET).caller(_scope(HAS_SECRET, ANNA, MODERATORS, address=address)) is not None


def test_a_request_without_the_headers_or_without_a_login_at_the_proxy_is_nobodys() -> None:
    """Neither is a fault: a key may follow."""
    counted = list[str]()
    people = ProxyPeople(settings(), SECRET, on_ignored=counted.append)
    for headers in ((), (MODERATORS,), (HAS_SECRET,), (HAS_SECRET, ("x-forwarded-user", " "))):
        assert people.caller(_scope(*headers)) is None
    assert counted == []


@pytest.mark.parametrize("name", ["Anna Müller", "x" * 129, "\xff", "a\tb"])
def test_a_name_that_is_no_opaque_id_becomes_its_digest(name: str) -> None:
    """The same for the same name, and an actor that every topic takes."""
    found = actor_of(name.encode("latin-1"))
    assert found == actor_of(name.encode("latin-1"))
    assert found.startswith("sha256:")
    assert len(found) == 39
    assert actor_of(b"anna@example.org") == "anna@example.org"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"CONSOLE_PROXY__ADDRESSES": "10.0.0.0/8"}, "secret_file and roles is unset"),
        ({"CONSOLE_PROXY__SECRET_FILE": "secret"}, "addresses and roles is unset"),
        ({"CONSOLE_PROXY__ADDRESSES": "10.0.0.1/8"}, "addresses names"),
        ({"CONSOLE_PROXY__ADDRESSES": "proxy.example"}, "addresses names"),
        ({"CONSOLE_PROXY__ROLES": "moderators=boss"}, "roles names"),
        ({"CONSOLE_PROXY__ROLES": "=admin"}, "roles names"),
        ({"CONSOLE_PROXY__USER_HEADER": "x user"}, "USER_HEADER"),
        ({"CONSOLE_PROXY__LOGOUT_URL": "javascript:x"}, "LOGOUT_URL"),
    ],
)
def test_settings_that_would_believe_anybody_are_refused(given: dict[str, str], named: str) -> None:
    """All three or none; and what is misspelled names itself."""
    with pytest.raises(SettingsError, match=named):
        read_settings(given, None)
