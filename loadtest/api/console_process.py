"""The console as operators run it, in a child process on a port of its own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from loadtest.errors import LoadTestError
from testkit.waiting import wait_until

_START_S: Final = 120.0
_STOP_S: Final = 40.0
_NO_DEADLINE_S: Final = 30.0
"""A closed loop of 64 clients is slow for everybody; what is measured is the rate, and how long they wait."""
_MB: Final = 1_000_000
_TAIL: Final = 2_000


@dataclass(frozen=True)
class ConsoleProcess:
    """A console that listens.

    Args:
        url: Address of /v1/classify.
        pid: Its process.
    """

    url: str
    pid: int

    def rss_mb(self) -> float:
        """Return its resident set, in MB."""
        return psutil.Process(self.pid).memory_info().rss / _MB


@contextmanager
def running_console(
    bundle: Path, folder: Path, *, n_threads: int, deadline_s: float = _NO_DEADLINE_S
) -> Iterator[ConsoleProcess]:
    """Start a console; stop it at the end.

    Args:
        bundle: Its bundle.
        folder: Takes what it prints.
        n_threads: Inference threads.
        deadline_s: Longest deadline of a request.

    Raises:
        LoadTestError: it does not start.
    """
    out, err = folder / "console.out", folder / "console.err"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CONSOLE_")}
    environment["CONSOLE_MODEL__N_THREADS"] = str(n_threads)
    environment["CONSOLE_QUEUE__DEADLINE_S"] = str(deadline_s)
    arguments = ["-m", "console", "serve", "--port", "0", "--api-only", "--bundle", str(bundle)]
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen([sys.executable, *arguments], env=environment, stdout=stdout, stderr=stderr)  # noqa: S603

    def announced() -> "re.Match[str] | None":
        if process.poll() is not None:
            raise LoadTestError(
                f"the console ended with {process.returncode}: {err.read_text('utf-8', 'replace')[-_TAIL:]}; expected "
                "an address; `make setup-console` installs what it needs"
            )
        return re.search(r"^listening on (http://\S+)$", out.read_text(), re.MULTILINE)

    try:
        found = wait_until(announced, timeout_s=_START_S, what=lambda: err.read_text("utf-8", "replace")[-_TAIL:])
        yield ConsoleProcess(f"{found[1]}/v1/classify", process.pid)
    finally:
        process.terminate()
        process.wait(_STOP_S)
