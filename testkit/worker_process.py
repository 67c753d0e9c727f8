"""The worker as operators run it: `python -m worker` in a child process, told everything by MODERATION_ variables."""

import http.client
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from testkit.errors import HarnessError
from testkit.log_events import log_events
from testkit.waiting import wait_until

PREFIX: Final = "MODERATION_"

_STOP_TIMEOUT_S: Final = 40.0
_EVENT_TIMEOUT_S: Final = 60.0
_READY_TIMEOUT_S: Final = 90.0
_READY_EVERY_S: Final = 0.01
_HTTP_TIMEOUT_S: Final = 5.0
_TAIL_CHARACTERS: Final = 4_000
_LINE_CHARACTERS: Final = 400


def child_environment(
    base: Mapping[str, str], settings: Mapping[str, str], *, keep: tuple[str, ...] = ()
) -> dict[str, str]:
    """Return the environment of a worker.

    Args:
        base: Ours. Its worker settings are left out: they may lead to another Kafka.
        settings: The worker's settings, by full name.
        keep: Settings of `base` that begin with one of these stay.
    """
    inherited = {
        name: value
        for name, value in base.items()
        if not name.upper().startswith(PREFIX) or name.upper().startswith(keep)
    }
    return {**inherited, **settings}


class WorkerProcess:
    """A running `python -m worker`.

    Args:
        environment: All of its environment.
        log_path: File that takes what the worker prints.
        arguments: Command and options.
        process_group: Group that it joins; None leaves it in ours.
        cwd: Where it runs; None leaves it where we are.
        launcher: Command that puts itself in place and then runs what follows, such as one that sets a limit.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        log_path: Path,
        arguments: Sequence[str] = ("run",),
        *,
        process_group: int | None = None,
        cwd: Path | None = None,
        launcher: Sequence[str] = (),
    ) -> None:
        self.environment = dict(environment)
        self.log_path = log_path
        with log_path.open("ab") as log:
            self._child = subprocess.Popen(
                [*launcher, sys.executable, "-m", "worker", *arguments],
                cwd=cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=process_group,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process' id."""
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """How it has ended; None while it runs."""
        return self._child.poll()

    def check(self) -> None:
        """Make sure that the worker runs.

        Raises:
            HarnessError: it has ended.
        """
        if (code := self.exit_code) is not None:
            raise HarnessError(f"the worker ended with exit code {code}; expected it to run until it is stopped")

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Return the log events written so far, of one name or of all."""
        return log_events(self.log_path, name)

    def wait_for(self, name: str, *, count: int = 1, timeout_s: float = _EVENT_TIMEOUT_S) -> dict[str, Any]:
        """Wait until the worker has logged this event so many times; return the last one.

        Raises:
            HarnessError: it ended before, or did not do so in time.
        """

        def reached() -> dict[str, Any] | None:
            found = self.events(name)
            if len(found) < count and self.exit_code is not None:
                raise HarnessError(f"the worker ended with {self.exit_code} before {name}: {self.tail()}")
            return found[count - 1] if len(found) >= count else None

        return wait_until(reached, timeout_s=timeout_s, what=lambda: f"{count} x {name} in {self.tail()}")

    def wait_joined(self) -> None:
        """Wait until the group has given the worker partitions."""
        self.wait_for("partitions_changed")

    def wait_until_it_owns_partitions(self) -> None:
        """Wait until the group has given the worker at least one partition."""
        wait_until(
            lambda: any(event["n_assigned"] > 0 for event in self.events("partitions_changed")),
            timeout_s=_EVENT_TIMEOUT_S,
            what=self.tail,
        )

    def wait_ready(self, port: int, *, timeout_s: float = _READY_TIMEOUT_S) -> None:
        """Wait until the worker says on its health port that it is ready.

        Raises:
            HarnessError: it ended before, or did not get ready in time.
        """

        def is_ready() -> bool:
            self.check()
            try:
                return self.get(port, "/readyz")[0] == http.client.OK
            except OSError:
                # The port opens when the bundle is loaded.
                return False

        wait_until(is_ready, timeout_s=timeout_s, what=lambda: "the worker is not ready", every_s=_READY_EVERY_S)

    @staticmethod
    def get(port: int, path: str) -> tuple[int, bytes]:
        """Return status and body of a path on the health port."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_HTTP_TIMEOUT_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing where it has ended."""
        self._child.send_signal(number)

    def wait_exit(self, *, timeout_s: float = _STOP_TIMEOUT_S) -> int:
        """Wait for the end and return the exit code."""
        return self._child.wait(timeout_s)

    def stop(self, *, grace_s: float = _STOP_TIMEOUT_S) -> int:
        """Ask for a stop, as an orchestrator does, and return the exit code; kill it when it takes too long.

        Twice is harmless.
        """
        self.send(signal.SIGTERM)
        try:
            return self.wait_exit(timeout_s=grace_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._child.returncode

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self._child.kill()
        self._child.wait()

    def tail(self) -> str:
        """Return the end of the log, for a failure text: what happened, with the last batch but not each of them."""
        lines = self.log_path.read_text("utf-8", "replace").splitlines()
        batches = [number for number, line in enumerate(lines) if '"event": "batch_done"' in line]
        left_out = set(batches[:-1])
        kept = [line[:_LINE_CHARACTERS] for number, line in enumerate(lines) if number not in left_out]
        return f"({len(left_out)} earlier batches left out)\n" + "\n".join(kept)[-_TAIL_CHARACTERS:]
