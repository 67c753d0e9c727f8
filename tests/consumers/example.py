"""An example as a newcomer gets it: built and started by the commands of the README."""

import functools
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from testkit.waiting import wait_until
from tests.consumers.readme import REPOSITORY, commands

BUILD_LIMIT_S = 900
STOP_LIMIT_S = 30


class Example(NamedTuple):
    """A program under examples/."""

    heading: str
    tools: tuple[str, ...]


def require(example: Example, environment: Mapping[str, str]) -> None:
    """Name the tools that the machine lacks: in CI a failure, on a laptop this example is left out."""
    missing = [tool for tool in example.tools if shutil.which(tool, path=environment.get("PATH", "")) is None]
    if missing:
        text = f"example {example.heading}: no {', '.join(missing)} on PATH; expected {', '.join(example.tools)}"
        if environment.get("CI"):
            pytest.fail(f"{text}; install what is missing")
        pytest.skip(f"{text}; this example is left out")


@functools.cache
def build(example: Example) -> None:
    """Build the example, downloads included; once per run of the tests."""
    require(example, os.environ)
    for line in commands(example.heading).build:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=BUILD_LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stdout[-2_000:]}{done.stderr[-4_000:]}"


class RunningExample:
    """A program under examples/, started by the last command of its section.

    Args:
        example: Which one; it must be built.
        arguments: What is added to the README's command.
        environment: Variables that the command names.
        folder: Where its output goes.
    """

    def __init__(
        self, example: Example, arguments: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"
        # The shell gives way to the program, so that a signal reaches it.
        line = f'exec {commands(example.heading).run} "$@"'
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                ["bash", "-c", line, "bash", *arguments],
                cwd=REPOSITORY,
                env=os.environ | environment,
                stdout=stdout,
                stderr=stderr,
            )

    def lines(self) -> list[dict[str, Any]]:
        """Return the JSON lines printed so far."""
        return [orjson.loads(line) for line in self._stdout.read_bytes().split(b"\n")[:-1]]

    def wait_for_lines(self, n_lines: int) -> None:
        """Wait until so many lines are printed."""
        wait_until(
            lambda: self._alive() and self._stdout.read_bytes().count(b"\n") >= n_lines,
            timeout_s=120,
            what=lambda: f"{n_lines} lines; found {len(self.lines())}; {self.errors()}",
        )

    def wait_for_error_line(self, pattern: str) -> str:
        """Wait for a line on stderr; return what the pattern's group matched."""
        found = wait_until(
            lambda: self._alive() and re.search(pattern, self.errors()),
            timeout_s=60,
            what=lambda: f"{pattern} in {self.errors()}",
        )
        return str(found[1])

    def errors(self) -> str:
        """Return the end of stderr."""
        return self._stderr.read_text("utf-8", "replace")[-4_000:]

    def wait_exit(self) -> int:
        """Wait until it ends by itself; return the exit code."""
        return self.process.wait(120)

    def stop(self) -> int:
        """Ask for a stop as an orchestrator does; return the exit code, 0 also for a JVM, which says 128 + 15."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_LIMIT_S)
        return 0 if code == 128 + signal.SIGTERM else code

    def kill(self) -> None:
        """End it at once, if it still runs."""
        self.process.kill()
        self.process.wait(STOP_LIMIT_S)

    def _alive(self) -> bool:
        code = self.process.poll()
        assert code is None, f"it ended with {code}: {self.errors()}"
        return True
