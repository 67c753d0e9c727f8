"""The worker as operators run it: `python -m worker` in a child process with settings from its environment."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from tests.integration.polling import wait_until

REPOSITORY = Path(__file__).parents[2]
STOP_TIMEOUT_S = 40.0


def child_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process' environment with exactly these MODERATION_ settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MODERATION_")}
    return {**inherited, **settings, "COLUMNS": "200"}


def run_command(
    *arguments: str, settings: Mapping[str, str], module: str = "worker", timeout_s: float = 90
) -> "subprocess.CompletedProcess[str]":
    """Run one command of a module, by default `python -m worker`, to its end."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=REPOSITORY,
        env=child_environment(settings),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


class WorkerProcess:
    """A running `python -m worker`.

    Args:
        settings: MODERATION_ variables.
        log_path: File that takes what the worker prints.
        arguments: Command and options.
    """

    def __init__(self, settings: Mapping[str, str], log_path: Path, arguments: Sequence[str] = ("run",)) -> None:
        self.settings = dict(settings)
        self.log_path = log_path
        with log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "worker", *arguments],
                cwd=REPOSITORY,
                env=child_environment(settings),
                stdout=log,
                stderr=log,
            )

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Return the log events written so far, of one name or of all."""
        lines = self.log_path.read_bytes().split(b"\n")
        # A process that was killed may leave half a line.
        found = [orjson.loads(line) for line in lines if line.startswith(b"{") and line.endswith(b"}")]
        return [event for event in found if name is None or event["event"] == name]

    def wait_for(self, name: str, *, count: int = 1, timeout_s: float = 60.0) -> dict[str, Any]:
        """Wait until the worker has logged this event so many times; return the last one."""

        def reached() -> dict[str, Any] | None:
            found = self.events(name)
            if len(found) < count and self.process.poll() is not None:
                raise AssertionError(f"the worker ended with {self.process.returncode} before {name}: {self.tail()}")
            return found[count - 1] if len(found) >= count else None

        return wait_until(reached, timeout_s=timeout_s, what=lambda: f"{count} x {name} in {self.tail()}")

    def wait_joined(self) -> None:
        """Wait until the group has given the worker partitions."""
        self.wait_for("partitions_changed")

    def wait_until_it_owns_partitions(self) -> None:
        """Wait until the group has given the worker at least one partition."""
        wait_until(
            lambda: any(event["n_assigned"] > 0 for event in self.events("partitions_changed")),
            timeout_s=60,
            what=self.tail,
        )

    def wait_exit(self, *, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Wait for the end and return the exit code."""
        return self.process.wait(timeout_s)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def stop(self) -> int:
        """Ask for a stop, as an orchestrator does, and return the exit code."""
        self.send(signal.SIGTERM)
        return self.wait_exit()

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self.process.kill()
        self.process.wait(10)

    def tail(self) -> str:
        """Return the end of the log, for a failure text: what happened, with the last batch but not each of them."""
        lines = self.log_path.read_text("utf-8", "replace").splitlines()
        batches = [number for number, line in enumerate(lines) if '"event": "batch_done"' in line]
        left_out = set(batches[:-1])
        kept = [line[:400] for number, line in enumerate(lines) if number not in left_out]
        return f"({len(left_out)} earlier batches left out)\n" + "\n".join(kept)[-4_000:]
