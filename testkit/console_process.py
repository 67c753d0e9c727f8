"""The console as operators run it: `python -m console serve` in a child process, told everything by variables."""

import http.client
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from testkit.errors import HarnessError
from testkit.log_events import log_events
from testkit.waiting import wait_until

PREFIX: Final = "CONSOLE_"

_START_S: Final = 120.0
_STOP_S: Final = 40.0
_ANSWER_S: Final = 30.0
_TAIL_CHARACTERS: Final = 4_000
_ADDRESS: Final = re.compile(r"^listening on (http://\S+)$", re.MULTILINE)


class ConsoleProcess:
    """A running `python -m console serve`.

    Args:
        environment: All of its environment.
        folder: Takes what it prints (`console.out`) and its log (`console.log`).
        arguments: Further options.
        port: Where it listens; 0 lets it choose.
        process_group: Group that it joins; None leaves it in ours.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        folder: Path,
        arguments: Sequence[str] = (),
        *,
        port: int = 0,
        process_group: int | None = None,
    ) -> None:
        self.log_path = folder / "console.log"
        self._out_path = folder / "console.out"
        with self._out_path.open("wb") as out, self.log_path.open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "console", "serve", "--port", str(port), *arguments],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                process_group=process_group,
            )

    @property
    def exit_code(self) -> int | None:
        """How it has ended; None while it runs."""
        return self._child.poll()

    def check(self) -> None:
        """Make sure that the console runs.

        Raises:
            HarnessError: it has ended.
        """
        if (code := self.exit_code) is not None:
            raise HarnessError(f"the console ended with exit code {code}; expected it to run until it is stopped")

    def address(self, *, meanwhile: Callable[[], None] = lambda: None) -> str:
        """Wait until it listens; return `http://HOST:PORT`.

        Args:
            meanwhile: Called while it is waited for.

        Raises:
            HarnessError: it ended before, or did not listen in time.
        """

        def announced() -> "re.Match[str] | None":
            self.check()
            meanwhile()
            return _ADDRESS.search(self._out_path.read_text("utf-8"))

        return wait_until(announced, timeout_s=_START_S, what=self.tail)[1]

    def ask(
        self, method: str, path: str, document: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Send one request and return status and body; a body of JSON is decoded.

        Args:
            method: GET, POST and so on.
            path: With the query.
            document: Body; None sends none.
            headers: Besides the content's type.

        Raises:
            OSError: it does not answer.
        """
        link = http.client.HTTPConnection(urlsplit(self.address()).netloc, timeout=_ANSWER_S)
        try:
            body = None if document is None else orjson.dumps(document)
            link.request(method, path, body, {"content-type": "application/json", **(headers or {})})
            response = link.getresponse()
            content = response.read()
            is_json = "json" in (response.getheader("content-type") or "")
            return response.status, orjson.loads(content) if is_json and content else content.decode()
        finally:
            link.close()

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing where it has ended."""
        self._child.send_signal(number)

    def stop(self, *, grace_s: float = _STOP_S) -> int:
        """Ask for a stop and return the exit code; kill it when it takes too long. Twice is harmless."""
        self.send(signal.SIGTERM)
        try:
            return self._child.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._child.returncode

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self._child.kill()
        self._child.wait()

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log events of one name."""
        return log_events(self.log_path, name)

    def tail(self) -> str:
        """Return the end of the log, for a failure text."""
        return self.log_path.read_text("utf-8", "replace")[-_TAIL_CHARACTERS:]
