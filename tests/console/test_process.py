"""`python -m console serve` as a process: address, keys, logs, signals and exit codes."""

import re
import signal
import socket
from http.client import HTTPConnection
from pathlib import Path

from tests.console.port.test_keys import write
from tests.console.port.test_users import PASSWORD, entry
from tests.console.port.test_users import write as write_users
from tests.console.process import Start

CANARY = "vs-canary-51c0"


def ask(port: int, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, bytes]:
    """Send one request."""
    link = HTTPConnection("127.0.0.1", port, timeout=60)
    link.request(method, path, body, {"content-type": "application/json", **headers})
    response = link.getresponse()
    found = response.status, response.read()
    link.close()
    return found


def test_it_serves_without_kafka_and_redis_keeps_keys_out_of_its_log_and_ends_on_sigterm(
    start: Start, tmp_path: Path
) -> None:
    """One process for all of it: its start takes seconds."""
    write(tmp_path / "keys.toml", ("coral", CANARY))
    process = start("--keys-file", str(tmp_path / "keys.toml"), "--api-only", CONSOLE_LOG__LEVEL="debug")
    port = process.port()
    assert ask(port, "GET", "/readyz") == (200, b"ok\n")
    assert ask(port, "GET", "/try", Authorization=f"Bearer {CANARY}")[0] == 404
    assert "/try" not in process.printed()
    comment = '{"comment":{"text":"hi"},"requestedAttributes":{"TOXICITY":{}}}'
    assert ask(port, "POST", f"/v1alpha1/comments:analyze?key={CANARY}", comment)[0] == 400
    assert ask(port, "POST", "/v1alpha1/comments:analyze?key=wrong", comment)[0] == 403
    assert ask(port, "GET", f"/nothing?key={CANARY}")[0] == 401
    assert ask(port, "POST", "/v1/classify", '{"text":"hello"}', Authorization=f"Bearer {CANARY}")[0] == 200
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.sendall(f"GET /v1alpha1/x?key={CANARY} HTTP/1.1\r\nHost: bad host\x01\r\n\r\n".encode())
        link.recv(1_000)
    process.running.send_signal(signal.SIGTERM)
    assert process.exit_code() == 0, process.errors()
    log = process.errors()
    assert CANARY not in log
    assert "Traceback" not in log
    assert '"key": "coral"' in log
    assert '"event": "console_stopped"' in log


def test_a_port_open_to_others_tells_an_address_that_answers(start: Start, tmp_path: Path) -> None:
    """Not the 0.0.0.0 that it listens on."""
    write(tmp_path / "keys.toml", ("coral", CANARY))
    named = {"CONSOLE_HTTP__ALLOWED_HOSTS": "localhost", "CONSOLE_HTTP__KEYS_FILE": str(tmp_path / "keys.toml")}
    process = start("--host", "0.0.0.0", **named)  # noqa: S104
    port = process.port()
    # Answered only once all of it is told.
    assert ask(port, "GET", "/livez", Host=f"localhost:{port}")[0] == 200
    told = re.search(r"^page to try it: http://(\S+)/try$", process.printed(), re.MULTILINE)
    assert told is not None
    assert told[1] == f"localhost:{port}"
    assert ask(port, "GET", "/try", Host=told[1], accept="text/html")[0] == 303


def test_a_console_with_users_and_a_pipeline_lets_in_who_is_named(start: Start, tmp_path: Path) -> None:
    """Its database is there and Kafka is not: that stops neither the start nor a login."""
    write(tmp_path / "keys.toml", ("scraper", CANARY))
    write_users(tmp_path / "users.toml", entry("anna", role="admin"))
    process = start(
        "--keys-file",
        str(tmp_path / "keys.toml"),
        CONSOLE_HTTP__USERS_FILE=str(tmp_path / "users.toml"),
        CONSOLE_PIPELINE__IS_ON="true",
        CONSOLE_STORE__URL=f"sqlite:///{tmp_path / 'console.sqlite3'}",
        MODERATION_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1",
        MODERATION_KAFKA__REVIEWS_TOPIC="verdict-reviews",
    )
    port = process.port()
    login = f'{{"name":"anna","password":"{PASSWORD}"}}'
    assert ask(port, "POST", "/login", login, Origin=f"http://127.0.0.1:{port}")[0] == 204
    assert ask(port, "POST", "/login", login.replace("horse", "house"))[0] == 401
    bearer = {"Authorization": f"Bearer {CANARY}"}
    metrics = ask(port, "GET", "/metrics", **bearer)[1].decode()
    assert "moderation_console_store_away 0.0" in metrics
    assert 'moderation_console_logins_refused_total{reason="password"} 1.0' in metrics
    process.running.send_signal(signal.SIGTERM)
    assert process.exit_code() == 0, process.errors()
    assert '"event": "logged_in"' in process.errors()
    assert PASSWORD not in process.errors()


def test_a_start_beyond_loopback_without_anybody_to_ask_is_refused(start: Start) -> None:
    """With the setting that is missing, before anything is listened on."""
    process = start("--host", "0.0.0.0", CONSOLE_HTTP__ALLOWED_HOSTS="a.example")  # noqa: S104
    assert process.exit_code() == 2
    assert "http.users_file" in process.errors()
    assert "proxy.secret_file" in process.errors()
