"""Pages of a port with keys: a login, its cookie, and what it does not open."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from console.errors import SettingsError
from console.port.keys import Keys
from console.port.sessions import COOKIE, HOST_COOKIE, LASTS_S, Sessions, session_secret
from console.port.users import Users
from console.settings.console import PagesSettings
from tests.console.conftest import StartConsole
from tests.console.pages.browser import judge
from tests.console.pages.browser import write as write_text
from tests.console.pages.conftest import OpenPage
from tests.console.port.test_keys import write
from tests.console.port.test_users import PASSWORD, entry
from tests.console.port.test_users import write as write_users
from tests.console.server import RunningConsole

KEY = "vs-the-key"
HELLO = {"messages": [{"role": "user", "content": "hello"}]}
BROWSER = {"accept": "text/html"}


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    """Return a file with one key."""
    write(tmp_path / "keys.toml", ("coral", KEY))
    return tmp_path / "keys.toml"


@pytest.fixture
def locked(start_console: StartConsole, keys_file: Path) -> RunningConsole:
    """Return a console with pages and keys."""
    return start_console(keys=Keys(keys_file), pages=PagesSettings())


def _cookie(console: RunningConsole) -> str:
    answer = console.post("/login", {"key": KEY}, origin=console.url)
    assert answer.status == 204
    return answer.headers["set-cookie"]


def test_a_person_logs_in_and_out(open_page: OpenPage, locked: RunningConsole) -> None:
    """The key is typed once; scripts never see the cookie."""
    page = open_page(f"{locked.url}/try")
    expect(page).to_have_url(f"{locked.url}/login")
    page.get_by_label("API key").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#refused")).to_contain_text("not known here")
    page.get_by_label("API key").fill(KEY)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{locked.url}/try")
    write_text(page, "hello")
    judge(page)
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{locked.url}/login")
    page.goto(f"{locked.url}/try")
    expect(page).to_have_url(f"{locked.url}/login")


def test_a_reviewer_logs_in_by_keyboard_with_a_name_and_a_password(
    open_page: OpenPage, start_console: StartConsole, keys_file: Path, tmp_path: Path
) -> None:
    """On a phone too; a key still opens the pages, from a form that stays closed until it is asked for."""
    write_users(tmp_path / "users.toml", entry("anna@example.org"))
    console = start_console(keys=Keys(keys_file), users=Users(tmp_path / "users.toml"), pages=PagesSettings())
    page = open_page(f"{console.url}/try", viewport={"width": 390, "height": 700})
    expect(page.get_by_label("API key")).to_be_hidden()
    page.keyboard.type("anna@example.org")
    page.keyboard.press("Tab")
    page.keyboard.type("wrong password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="do not belong together")).to_be_visible()
    # The wrong password is marked, so that the right one takes its place.
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{console.url}/try")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.cookie") == ""
    wide = open_page(f"{console.url}/try")
    wide.get_by_text("Log in with an API key").click()
    wide.get_by_label("API key").fill(KEY)
    wide.keyboard.press("Enter")
    expect(wide).to_have_url(f"{console.url}/try")
    expect(wide.locator(".person")).to_have_text("coral · client")


def test_without_a_login_nothing_of_the_pages_answers(locked: RunningConsole) -> None:
    """But for the login itself and the static files, which are public."""
    for path in ("/", "/try", "/try/bundles"):
        assert locked.ask("GET", path).status == 401
        answer = locked.ask("GET", path, headers=BROWSER)
        assert (answer.status, answer.headers["location"]) == (303, "/login")
    assert locked.post("/try/judge", HELLO).status == 401
    assert locked.ask("GET", "/metrics", headers=BROWSER).status == 401
    assert locked.ask("GET", "/login").status == 200
    assert locked.ask("GET", "/static/frame.css").status == 200
    assert locked.ask("GET", "/tryst", headers=BROWSER).status == 401


def test_who_has_not_logged_in_sends_little(locked: RunningConsole) -> None:
    """The memory for bodies is for those who have a key."""
    assert locked.post("/login", {"key": "x" * 5_000}).status == 413
    assert locked.post("/login", {"key": 7}).status == 400
    assert locked.post("/login", {"name": "anna", "password": ["x"]}).status == 400
    assert locked.post("/login", b"[]").status == 400


def test_the_cookie_is_for_pages_of_this_origin_only(locked: RunningConsole) -> None:
    """Strict, hidden from scripts; a page elsewhere cannot use it, and the API does not take it."""
    set_cookie = _cookie(locked)
    assert "HttpOnly" in set_cookie
    assert "SameSite=strict" in set_cookie
    assert KEY not in set_cookie
    cookie = set_cookie.partition(";")[0]
    assert locked.ask("GET", "/try", headers={"cookie": cookie}).status == 200
    assert locked.post("/try/judge", HELLO, cookie=cookie, origin=locked.url).status == 200
    assert locked.post("/try/judge", HELLO, cookie=cookie).status == 403
    assert locked.post("/try/judge", HELLO, cookie=cookie, origin="https://evil.example").status == 403
    assert locked.post("/v1/classify", {"text": "hello"}, cookie=cookie, origin=locked.url).status == 401
    assert locked.post("/try/judge", HELLO, authorization=f"Bearer {KEY}").status == 200


def test_behind_https_the_cookie_is_secure(start_console: StartConsole, keys_file: Path) -> None:
    """The proxy's address is in the settings."""
    console = start_console(keys=Keys(keys_file), pages=PagesSettings(), public_url="https://a.example")
    set_cookie = console.post("/login", {"key": KEY}, origin="https://a.example").headers["set-cookie"]
    assert set_cookie.startswith(f"{HOST_COOKIE}=")
    assert "Secure" in set_cookie
    assert "Domain" not in set_cookie
    cookie = set_cookie.partition(";")[0]
    assert console.ask("GET", "/try", headers={"cookie": cookie}).status == 200
    plain = cookie.replace(HOST_COOKIE, COOKIE)
    assert console.ask("GET", "/try", headers={"cookie": plain}).status == 401, "a neighbour may have set it"


def test_a_login_ends_with_its_time_its_key_and_its_secret(keys_file: Path) -> None:
    """And a changed cookie was never one."""
    now = {"clock": 0.0, "keys": 0.0}
    keys = Keys(keys_file, clock=lambda: now["keys"])
    sessions = Sessions(keys, b"secret", clock=lambda: now["clock"])
    binding = keys.binding(KEY)
    assert binding is not None
    assert keys.binding("wrong") is None
    cookie = sessions.cookie(binding)
    assert Sessions(keys, b"secret", clock=lambda: 1.0).caller(cookie) is not None
    assert Sessions(keys, b"other", clock=lambda: 1.0).caller(cookie) is None
    until, _, signature = cookie.partition(".")
    for changed in ("", ".", f"{int(until) + 1}.{signature}", f"{until}.", f"{until}.{signature[:-1]}é", "9" * 5_000):
        assert sessions.caller(changed) is None
    now["clock"] = LASTS_S - 1
    found = sessions.caller(cookie)
    assert found is not None
    assert found.name == "coral"
    now["clock"] = LASTS_S
    assert sessions.caller(cookie) is None
    now["clock"], now["keys"] = 0, 10
    write(keys_file, ("coral", "vs-another"))
    assert sessions.caller(cookie) is None


def test_a_login_ends_where_its_entry_changes(keys_file: Path) -> None:
    """Whoever gets another role logs in again, and nobody keeps an old one."""
    now = {"keys": 0.0}
    keys = Keys(keys_file, clock=lambda: now["keys"])
    sessions = Sessions(keys, b"secret")
    cookie = sessions.cookie(str(keys.binding(KEY)))
    assert sessions.caller(cookie) is not None
    now["keys"] = 10
    write(keys_file, ("coral", KEY), extra='role = "admin"\n')
    assert sessions.caller(cookie) is None


def test_a_secret_file_is_long_enough_and_there(tmp_path: Path) -> None:
    """Without one a login ends with its process."""
    assert session_secret(None) != session_secret(None)
    with pytest.raises(SettingsError, match="cannot be read"):
        session_secret(tmp_path / "none")
    (tmp_path / "short").write_bytes(b"x" * 31 + b"\n")
    with pytest.raises(SettingsError, match="at least 32"):
        session_secret(tmp_path / "short")
    (tmp_path / "good").write_bytes(b"x" * 32 + b"\n")
    assert session_secret(tmp_path / "good") == b"x" * 32


def test_a_port_without_keys_needs_no_login(try_console: RunningConsole) -> None:
    """Its own machine alone reaches it."""
    answer = try_console.ask("GET", "/login")
    assert (answer.status, answer.headers["location"]) == (307, "/try")
    assert try_console.post("/login", {"key": KEY}).status == 405
    assert COOKIE not in str(answer.headers)
