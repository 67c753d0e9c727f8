"""What a login opens, and what no page of another origin can do with it, on real connections."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from console.port.keys import Keys
from console.port.proxy import ProxyPeople
from console.port.users import Users
from console.settings.console import PagesSettings
from tests.console.conftest import StartConsole
from tests.console.port.test_keys import write as write_keys
from tests.console.port.test_proxy import ANNA, HAS_SECRET, MODERATORS, SECRET, settings
from tests.console.port.test_users import PASSWORD, entry, write
from tests.console.server import RunningConsole

HELLO = {"messages": [{"role": "user", "content": "hello"}]}
CHANGES: tuple[tuple[str, Any], ...] = (
    ("/try/judge", HELLO),
    ("/try/bundle", {}),
    ("/try/influence", HELLO),
    ("/try/table", {"texts": ["hello"]}),
)
"""Of each kind of route that a login opens: what a page asks."""


@pytest.fixture
def users(tmp_path: Path) -> Users:
    """Return the users of a file with one."""
    write(tmp_path / "users.toml", entry("anna"))
    return Users(tmp_path / "users.toml")


@pytest.fixture
def people() -> ProxyPeople:
    """Return whom a proxy on this machine names."""
    return ProxyPeople(settings(), SECRET)


def _cookie(console: RunningConsole) -> dict[str, str]:
    answer = console.post("/login", {"name": "anna", "password": PASSWORD}, origin=console.url)
    assert answer.status == 204
    return {"cookie": answer.headers["set-cookie"].partition(";")[0]}


@pytest.fixture(params=["cookie", "proxy"])
def logged_in(
    request: pytest.FixtureRequest, start_console: StartConsole, users: Users, people: ProxyPeople
) -> tuple[RunningConsole, Mapping[str, str]]:
    """Return a console, and the headers with which a person's browser asks it."""
    if request.param == "cookie":
        console = start_console(users=users, pages=PagesSettings(), allowed_origins="https://tools.example")
        return console, _cookie(console)
    console = start_console(people=people, pages=PagesSettings(), allowed_origins="https://tools.example")
    return console, dict((HAS_SECRET, ANNA, MODERATORS))


@pytest.mark.parametrize(("path", "body"), CHANGES)
def test_a_change_with_a_login_comes_from_a_page_of_this_port(
    logged_in: tuple[RunningConsole, Mapping[str, str]], path: str, body: dict[str, Any]
) -> None:
    """Whoever looks at another page with their login open must not act by it, allowed origin or not."""
    console, login = logged_in
    assert console.post(path, body, **login, origin=console.url).status == 200
    assert console.post(path, body, **login, origin=console.url, sec_fetch_site="same-origin").status == 200
    for foreign in (
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "https://tools.example"},
        {"origin": console.url, "sec_fetch_site": "cross-site"},
        {"origin": console.url, "sec_fetch_site": "same-site"},
    ):
        answer = console.post(path, body, **login, **foreign)
        assert (answer.status, answer.error["code"]) == (403, "origin_not_allowed"), foreign


def test_a_page_is_read_with_a_login_and_by_no_foreign_script(
    logged_in: tuple[RunningConsole, Mapping[str, str]],
) -> None:
    """A link from elsewhere opens it; a request that a foreign page makes does not."""
    console, login = logged_in
    foreign = {"sec-fetch-site": "cross-site"}
    assert console.ask("GET", "/try", headers=login).status == 200
    assert console.ask("GET", "/try", headers={**login, **foreign, "sec-fetch-mode": "navigate"}).status == 200
    assert console.ask("GET", "/try/bundles", headers={**login, **foreign, "sec-fetch-mode": "cors"}).status == 403


def test_a_login_opens_no_api_and_is_no_label(logged_in: tuple[RunningConsole, Mapping[str, str]]) -> None:
    """Programs have keys; and metrics do not list people."""
    console, login = logged_in
    assert console.post("/v1/classify", {"text": "hello"}, **login, origin=console.url).status == 401
    assert console.ask("GET", "/metrics", headers=login).status == 401
    console.ask("GET", "/try", headers=login)
    (requests,) = console.service.metrics.requests.collect()
    found = {str(sample.labels.get("key")) for sample in requests.samples}
    assert "(person)" in found
    assert not any("anna" in label for label in found)


def test_a_user_logs_in_and_a_wrong_password_does_not(start_console: StartConsole, users: Users) -> None:
    """The cookie's name and password are nowhere in it."""
    console = start_console(users=users, pages=PagesSettings())
    refused = console.post("/login", {"name": "anna", "password": "wrong password"})
    assert (refused.status, refused.error["code"]) == (401, "invalid_login")
    assert "set-cookie" not in refused.headers
    login = _cookie(console)
    assert "anna" not in str(login)
    assert console.ask("GET", "/try", headers=login).status == 200
    assert b"anna" in console.ask("GET", "/try", headers=login).raw
    out = console.post("/login/out", {}, **login, origin=console.url)
    assert "Max-Age=0" in out.headers["set-cookie"]


def test_a_key_does_not_log_in_where_there_are_users_only(start_console: StartConsole, users: Users) -> None:
    """And the API of such a port is nobody's."""
    console = start_console(users=users, pages=PagesSettings())
    assert console.post("/login", {"key": "vs-key"}).status == 401
    assert console.post("/v1/classify", {"text": "hello"}, authorization="Bearer vs-key").status == 401
    assert console.ask("GET", "/try", headers={"accept": "text/html"}).headers["location"] == "/login"


def test_refused_logins_are_counted(start_console: StartConsole, users: Users) -> None:
    """An alert watches them."""
    console = start_console(users=users, pages=PagesSettings())
    refused = console.service.metrics.logins_refused.labels(reason="password")
    before = refused._value.get()
    console.post("/login", {"name": "nobody", "password": "wrong password"})
    assert refused._value.get() == before + 1


def test_the_proxys_headers_from_elsewhere_open_nothing(start_console: StartConsole, people: ProxyPeople) -> None:
    """Without the secret a person in front of the port is anybody."""
    console = start_console(people=people, pages=PagesSettings())
    assert console.ask("GET", "/try", headers=dict((ANNA, MODERATORS))).status == 401
    assert console.ask("GET", "/", headers={"accept": "text/html"}).status == 401, "no login page stands behind it"
    nobody = dict((HAS_SECRET, ANNA, ("x-forwarded-groups", "visitors")))
    assert console.ask("GET", "/try", headers=nobody).error["code"] == "role_needed"


def test_behind_a_proxy_keys_still_open_the_api(
    start_console: StartConsole, people: ProxyPeople, tmp_path: Path
) -> None:
    """And a page, where the proxy lets a program through."""
    write_keys(tmp_path / "keys.toml", ("coral", "vs-key"))
    console = start_console(people=people, keys=Keys(tmp_path / "keys.toml"), pages=PagesSettings())
    bearer = {"authorization": "Bearer vs-key"}
    assert console.post("/v1/classify", {"text": "hello"}, **bearer).status == 200
    assert console.ask("GET", "/try", headers=bearer).status == 200
    # A proxy may pass on its own token, which is no key of this port.
    both = dict((HAS_SECRET, ANNA, MODERATORS, ("authorization", "Bearer its-own")))
    assert console.ask("GET", "/try", headers=both).status == 200
