"""`python -m console serve` as a process: address, keys, logs, signals and exit codes."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from testkit.waiting import wait_until
from tests.console.port.test_keys import write

CANARY = "vs-canary-51c0"
START_S = 120


class Process:
    """A console that was started by its command."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self._out, self._err = folder / "out", folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.running = subprocess.Popen(
                [sys.executable, "-m", "console", "serve", "--port", "0", *arguments],
                env=os.environ | environment,
                stdout=out,
                stderr=err,
            )

    def port(self) -> int:
        """Wait for the address; return its port."""

        def announced() -> "re.Match[str] | None":
            assert self.running.poll() is None, self.errors()
            return re.search(r"^listening on http://\S+:(\d+)$", self._out.read_text(), re.MULTILINE)

        return int(wait_until(announced, timeout_s=START_S, what=self.errors)[1])

    def errors(self) -> str:
        """Return what is on standard error."""
        return self._err.read_text("utf-8", "replace")

    def exit_code(self) -> int:
        """Wait for the end."""
        return self.running.wait(START_S)


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a console."""
    started: list[Process] = []

    def start_one(*arguments: str, **environment: str) -> Process:
        folder = tmp_path / f"console-{len(started)}"
        folder.mkdir()
        started.append(Process(folder, *arguments, **environment))
        return started[-1]

    yield start_one
    for process in started:
        process.running.kill()
        process.running.wait(30)


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
