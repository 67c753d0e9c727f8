"""A console that was started by its command."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from testkit.waiting import wait_until

START_S: Final = 120


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

    def printed(self) -> str:
        """Return what is on standard output."""
        return self._out.read_text("utf-8")

    def errors(self) -> str:
        """Return what is on standard error."""
        return self._err.read_text("utf-8", "replace")

    def exit_code(self) -> int:
        """Wait for the end."""
        return self.running.wait(START_S)


Start = Callable[..., Process]
