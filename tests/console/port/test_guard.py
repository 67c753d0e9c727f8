"""Who may ask: Host, Origin, keys and rates, on real connections."""

import socket
from pathlib import Path

import pytest

from console.port.keys import Keys
from tests.console.conftest import StartConsole
from tests.console.port.test_keys import write
from tests.console.server import RunningConsole

HELLO = {"text": "hello"}
KEY = "vs-the-key"


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Return a file's keys."""
    write(tmp_path / "keys.toml", ("coral", KEY))
    return Keys(tmp_path / "keys.toml")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8088", "[::1]", "[::1]:80"])
def test_the_ports_own_names_are_let_in(console: RunningConsole, host: str) -> None:
    """With any port: a forwarded one has another number."""
    assert console.post("/v1/classify", HELLO, host=host).status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8088", "localhost.evil.example", "0.0.0.0", "::1", ""])  # noqa: S104
def test_a_name_that_someone_made_resolve_to_the_port_is_refused(console: RunningConsole, host: str) -> None:
    """DNS rebinding: the browser of a visitor asks the visitor's own machine under the page's name."""
    for path in ("/v1/classify", "/v1/moderations", "/metrics", "/openapi.json"):
        answer = console.post(path, HELLO, host=host)
        assert (answer.status, answer.error["code"]) == (403, "host_not_allowed")
    google = console.post("/v1alpha1/comments:analyze", HELLO, host=host)
    assert (google.status, google.error["status"]) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost", "http://127.0.0.1:1", "file://"]
)
def test_a_page_of_another_origin_is_refused(console: RunningConsole, origin: str) -> None:
    """A loopback port without keys would answer whatever page its owner looks at."""
    answer = console.post("/v1/classify", HELLO, origin=origin)
    assert (answer.status, answer.error["code"]) == (403, "origin_not_allowed")


def test_a_page_of_the_ports_own_origin_is_let_in(console: RunningConsole) -> None:
    """The Try page is one."""
    assert console.post("/v1/classify", HELLO, origin=console.url).status == 200


def test_an_origin_that_is_named_is_let_in(start_console: StartConsole) -> None:
    """In any case of letters."""
    console = start_console(allowed_origins="https://Tools.example")
    assert console.post("/v1/classify", HELLO, origin="https://tools.example").status == 200
    assert console.post("/v1/classify", HELLO, origin="http://tools.example").status == 403


def test_a_page_of_a_named_origin_may_ask_first_and_read_the_answer(start_console: StartConsole, keys: Keys) -> None:
    """Browsers ask for leave before they post JSON, without the key; and hide an answer that does not name them."""
    console = start_console(allowed_origins="https://tools.example", keys=keys)
    leave = {"origin": "https://tools.example", "access-control-request-method": "POST"}
    leave["access-control-request-headers"] = "authorization, content-type"
    answer = console.ask("OPTIONS", "/v1/classify", headers=leave)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "https://tools.example")
    posted = console.post("/v1/classify", HELLO, origin="https://tools.example", authorization=f"Bearer {KEY}")
    assert (posted.status, posted.headers["access-control-allow-origin"]) == (200, "https://tools.example")
    foreign = console.ask("OPTIONS", "/v1/classify", headers=leave | {"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers


def test_behind_a_proxy_the_public_address_is_the_ports_own_origin(start_console: StartConsole) -> None:
    """The proxy ends TLS, so that the port itself sees http."""
    console = start_console(public_url="https://moderation.example", allowed_hosts="moderation.example")
    named = {"host": "moderation.example", "origin": "https://moderation.example"}
    assert console.post("/v1/classify", HELLO, **named).status == 200


def test_a_get_that_another_sites_page_makes_is_refused(console: RunningConsole) -> None:
    """Browsers leave the origin out of it, and say the site instead; a link that is followed is no such request."""
    foreign = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert console.ask("GET", "/metrics", headers=foreign).status == 403
    assert console.ask("GET", "/metrics", headers=foreign | {"sec-fetch-mode": "navigate"}).status == 200
    assert console.ask("GET", "/metrics", headers={"sec-fetch-site": "same-origin"}).status == 200


def test_probes_are_answered_under_any_name_and_without_a_key(start_console: StartConsole, keys: Keys) -> None:
    """An orchestrator asks by the pod's address."""
    console = start_console(keys=keys)
    for path in ("/livez", "/readyz"):
        assert console.ask("GET", path, headers={"host": "10.1.2.3"}).raw == b"ok\n"


@pytest.mark.parametrize("path", ["/v1/classify", "/v1/moderations", "/v1/feedback", "/metrics", "/nothing"])
@pytest.mark.parametrize("authorization", [None, "Bearer wrong", f"Basic {KEY}", KEY, "Bearer "])
def test_without_a_good_key_nothing_is_answered(
    start_console: StartConsole, keys: Keys, path: str, authorization: str | None
) -> None:
    """Not even whether a path exists; 401, as OpenAI's clients know it."""
    console = start_console(keys=keys)
    headers = {} if authorization is None else {"authorization": authorization}
    answer = console.post(path, HELLO, **headers)
    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
    assert set(answer.error) == {"message", "type", "param", "code"}
    assert KEY not in answer.raw.decode()


def test_a_key_is_taken_in_each_apis_way(start_console: StartConsole, keys: Keys) -> None:
    """In the query under /v1alpha1 only: elsewhere it would end in a log of a proxy for nothing."""
    console = start_console(keys=keys)
    assert console.post("/v1/classify", HELLO, authorization=f"Bearer {KEY}").status == 200
    assert console.post("/v1/classify", HELLO, authorization=f"bearer  {KEY} ").status == 200
    assert console.post("/v1/classify", HELLO, x_goog_api_key=KEY).status == 200
    assert console.post(f"/v1/classify?key={KEY}", HELLO).status == 401
    asked = {"comment": {"text": "hi"}}
    assert console.post(f"/v1alpha1/comments:analyze?key={KEY}", asked).status == 400
    assert console.post("/v1alpha1/comments:analyze?key=wrong", asked).status == 403
    assert console.ask("GET", f"/$discovery/rest?version=v1alpha1&key={KEY}").status == 200


def test_a_key_has_a_rate(start_console: StartConsole, tmp_path: Path) -> None:
    """Conversations count, not requests; the answer says when to come back. Another key is not held up."""
    path = tmp_path / "keys.toml"
    path.write_text("")
    write(path, ("slow", "k1"), extra="conversations_per_s = 0.001\nburst = 2\n")
    path.write_text(path.read_text() + '[[keys]]\nname = "free"\nsha256 = "' + _hash("k2") + '"\n')
    console = start_console(keys=Keys(path))
    batch = {"conversations": ["hello", "hi", "good morning"]}
    assert console.post("/v1/classify", batch, authorization="Bearer k1").status == 200
    answer = console.post("/v1/moderations", {"input": "hello"}, authorization="Bearer k1")
    assert (answer.status, answer.error["code"]) == (429, "rate_limit_exceeded")
    assert int(answer.headers["retry-after"]) > 900
    google = console.post("/v1alpha1/comments:analyze?key=k1", {})
    assert google.error["status"] == "RESOURCE_EXHAUSTED"
    assert google.error["details"][0]["reason"] == "RATE_LIMIT_EXCEEDED"
    assert console.post("/v1/classify", batch, authorization="Bearer k2").status == 200


def _hash(key: str) -> str:
    from console.port.keys import hash_of  # noqa: PLC0415

    return hash_of(key)


def test_a_request_without_a_host_is_refused(console: RunningConsole) -> None:
    """HTTP/1.0 allows it."""
    with socket.create_connection(("127.0.0.1", console.port)) as link:
        link.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert b" 403 " in link.recv(1_000)


def test_an_explicit_empty_list_shuts_the_port(start_console: StartConsole, tmp_path: Path) -> None:
    """While the process runs: a key that got out must not be good until somebody restarts it."""
    now_s = {"now": 0.0}
    write(tmp_path / "keys.toml", ("coral", KEY))
    console = start_console(keys=Keys(tmp_path / "keys.toml", clock=lambda: now_s["now"]))
    assert console.post("/v1/classify", HELLO, authorization=f"Bearer {KEY}").status == 200
    (tmp_path / "keys.toml").write_text("keys = []\n")
    now_s["now"] += 2
    for path in ("/v1/classify", "/v1/moderations", "/metrics"):
        assert console.post(path, HELLO, authorization=f"Bearer {KEY}").status == 401
    assert console.post("/v1/classify", HELLO).status == 401
