"""Start, stop, pause and find again the child processes of the stack.

Two ways to start: *guarded* (a context manager owns the services, a watchdog kills them when the
owner dies) and *detached* (`up` leaves them running in sessions of their own).

Invariant: a process is only ever signalled after its pid and start time both match, so that a
recycled pid never hits a stranger.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from deploy.local.errors import ServiceStartError

_WATCHDOG = Path(__file__).with_name("watchdog.py")
_START_TIME_TOLERANCE_S = 2.0  # the kernel counts from boot; a stepped clock shifts it a little
_POLL_S = 0.02
_TAIL_BYTES = 8_192


@dataclass(frozen=True)
class ProcessIdentity:
    """A process that can be found again: its pid and its start time (Unix time, seconds)."""

    pid: int
    started_at_s: float

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity":
        """Read the identity of a process that runs now."""
        return cls(pid=pid, started_at_s=psutil.Process(pid).create_time())

    def is_alive(self) -> bool:
        """Say whether this very process still runs; a zombie or a recycled pid does not."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started_at_s) <= _START_TIME_TOLERANCE_S
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def send(self, signal_number: int) -> None:
        """Send a signal where this very process still runs."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal_number)

    def wait_gone(self, *, timeout_s: float) -> bool:
        """Wait until the process is gone; False when it still runs after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while self.is_alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True


class Spawner(Protocol):
    """Starts child processes under one rule for what happens to them later."""

    def spawn(self, argv: Sequence[str], *, console: Path) -> "subprocess.Popen[bytes]":
        """Start `argv`; standard output and error go to the file `console`."""

    def close(self) -> None:
        """Forget the children; the caller has stopped those that had to stop."""


class DetachedSpawner:
    """Children get sessions of their own and live on after this process."""

    def spawn(self, argv: Sequence[str], *, console: Path) -> "subprocess.Popen[bytes]":
        """Start `argv` in a new session."""
        with console.open("ab") as output:
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def close(self) -> None:
        """Do nothing: the children stay."""


class GuardedSpawner:
    """Children join the process group of a watchdog and never outlive this process.

    Args:
        remove_on_death: Folders the watchdog removes when this process dies without `close`.
    """

    def __init__(self, remove_on_death: Sequence[Path]) -> None:
        # -I -S: no site packages, no environment; the watchdog needs some 8 MB and starts in 20 ms.
        argv = [sys.executable, "-I", "-S", str(_WATCHDOG), str(os.getpid())]
        self._watchdog = subprocess.Popen([*argv, *map(str, remove_on_death)], stdin=subprocess.PIPE, process_group=0)

    def spawn(self, argv: Sequence[str], *, console: Path) -> "subprocess.Popen[bytes]":
        """Start `argv` inside the watchdog's process group."""
        if self._watchdog.poll() is not None:
            raise ServiceStartError(
                f"the local stack's watchdog is gone (exit status {self._watchdog.returncode}); "
                "expected it to run as long as the stack; start a new stack"
            )
        with console.open("ab") as output:
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=self._watchdog.pid,
            )

    def close(self) -> None:
        """Tell the watchdog that everything was stopped in order, and wait for its end."""
        with contextlib.suppress(BrokenPipeError):
            self._watchdog.communicate(b"q")


class ServiceProcess:
    """One service's child process, which can be started again after it has ended.

    Args:
        name: How error texts call it, for example `broker-0`.
        spawner: Decides what becomes of the child when this process ends.
        folder: Holds `console.log`, what the child printed.
    """

    def __init__(self, name: str, spawner: Spawner, folder: Path) -> None:
        self.name = name
        self.console = folder / "console.log"
        self._spawner = spawner
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The child's pid, None where it does not run."""
        return self._child.pid if self._child is not None and self.is_running() else None

    def identity(self) -> ProcessIdentity | None:
        """The child's identity for the state file, None where it does not run."""
        pid = self.pid
        return None if pid is None else ProcessIdentity.of(pid)

    def is_running(self) -> bool:
        """Say whether the child runs; a paused one does."""
        return self._child is not None and self._child.poll() is None

    def start(self, argv: Sequence[str]) -> None:
        """Start the child.

        Raises:
            ServiceStartError: It runs already, or the executable cannot be started.
        """
        if self.is_running():
            raise ServiceStartError(f"{self.name} runs already (pid {self.pid}); stop it first")
        try:
            self._child = self._spawner.spawn(argv, console=self.console)
        except OSError as error:
            raise ServiceStartError(
                f"{self.name}: {argv[0]} cannot be started ({error}); expected an executable for "
                "this machine; install another one or put it first on PATH"
            ) from error

    def request_stop(self, *, kill: bool) -> None:
        """Send SIGTERM, or SIGKILL where `kill`; a paused child is woken so that it can obey."""
        if self._child is not None and self.is_running():
            self._child.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            self._child.send_signal(signal.SIGCONT)

    def wait_stopped(self, *, grace_s: float) -> None:
        """Wait for the child's end; it is killed when it still runs after `grace_s`."""
        if self._child is None:
            return
        try:
            self._child.wait(timeout=grace_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def signal(self, signal_number: int) -> None:
        """Send any signal to a running child.

        Raises:
            ServiceStartError: The child does not run.
        """
        if self._child is None or not self.is_running():
            raise ServiceStartError(f"{self.name} does not run; expected a running service")
        self._child.send_signal(signal_number)


def log_tail(*paths: Path, n_lines: int = 15) -> str:
    """Return the last lines of each existing file, for an error text."""
    parts = []
    for path in paths:
        if path.is_file() and path.stat().st_size:
            with path.open("rb") as log:
                log.seek(max(0, path.stat().st_size - _TAIL_BYTES))
                lines = log.read().decode("utf-8", "replace").splitlines()[-n_lines:]
            parts.append("\n".join([f"last lines of {path}:", *(f"    {line}" for line in lines)]))
    return "\n".join(parts) or "it wrote no log"
