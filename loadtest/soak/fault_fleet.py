"""The workers of a soak with faults: one that lives through all of it, and one that is killed and replaced."""

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from loadtest.run.measured_worker import worker_environment
from loadtest.services import Services
from testkit.topics import Topics
from testkit.worker_process import WorkerProcess

_MB: Final = 1_000_000

SURVIVOR, VICTIM = 0, 1

_EXIT_CUT: Final = 4
"""How a worker ends whose grace time ran out before its commit."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What one process has open and takes."""

    rss_mb: float
    n_fds: int
    n_threads: int


class FaultFleet:
    """Two workers; what ends by itself is noted and started again, as an orchestrator does.

    Args:
        topics: With the addresses that the workers are told.
        services: The same.
        folder: Takes their logs.
        settings: MODERATION_ variables of both.
    """

    def __init__(self, topics: Topics, services: Services, folder: Path, settings: Mapping[str, str]) -> None:
        self._environment = worker_environment(os.environ, topics, services, http_port=0) | dict(settings)
        self._folder = folder
        self._n_started = 0
        self.ended_by_themselves: list[str] = []
        self.n_cut = 0
        """How many of those that were told to stop could not commit in time: their brokers were away."""
        self._workers = [self._start(), self._start()]

    def _start(self) -> WorkerProcess:
        self._n_started += 1
        return WorkerProcess(self._environment, self._folder / f"worker-{self._n_started}.log")

    def wait_started(self) -> None:
        """Wait until both have partitions.

        Raises:
            HarnessError: one of them has not in time.
        """
        for worker in self._workers:
            worker.wait_until_it_owns_partitions()

    def kill_victim(self) -> None:
        """End one worker at once and start another."""
        self._workers[VICTIM].kill()
        self._workers[VICTIM] = self._start()

    def restart_victim(self) -> None:
        """End one worker in order and start another."""
        code = self._workers[VICTIM].stop()
        self.n_cut += code == _EXIT_CUT
        if code not in {0, _EXIT_CUT}:
            self._note(self._workers[VICTIM], code)
        self._workers[VICTIM] = self._start()

    def freeze(self, choice: int) -> int:
        """Freeze one of both; return which."""
        which = choice % len(self._workers)
        self._workers[which].send(signal.SIGSTOP)
        return which

    def thaw(self, which: int) -> None:
        """Let it go on."""
        self._workers[which].send(signal.SIGCONT)

    def replace_ended(self) -> None:
        """Start again what has ended by itself."""
        for which, worker in enumerate(self._workers):
            if (code := worker.exit_code) is not None:
                self._note(worker, code)
                self._workers[which] = self._start()

    def _note(self, worker: WorkerProcess, code: int) -> None:
        fatal = worker.events("worker_fatal")
        cause = str(fatal[-1].get("error", "")) if fatal else worker.tail()[-500:]
        self.ended_by_themselves.append(f"exit code {code}: {cause}")

    def survivor_sizes(self) -> Sizes | None:
        """Return what the worker takes that lives through everything; None while it is replaced after all."""
        try:
            process = psutil.Process(self._workers[SURVIVOR].pid)
            return Sizes(process.memory_info().rss / _MB, process.num_fds(), process.num_threads())
        except psutil.Error:
            return None

    def n_logged(self, event: str) -> int:
        """Return how often the workers have logged an event, those that are gone included."""
        needle = f'"event": "{event}"'.encode()
        return sum(path.read_bytes().count(needle) for path in self._folder.glob("worker-*.log"))

    def stop(self) -> list[int]:
        """End both in order and return their exit codes."""
        return [worker.stop() for worker in self._workers]

    def kill(self) -> None:
        """End what is left after an error."""
        for worker in self._workers:
            worker.kill()
