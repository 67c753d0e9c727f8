"""A worker under test: the harness' child process, watched from outside.

Settings come from the MODERATION_ variables of the caller's environment (bundle, batch sizes, delivery), except for the
addresses, topics and ports, which belong to the measurement.
"""

import os
import socket
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

from loadtest.errors import LoadTestError
from loadtest.run.kafka_properties import worker_settings
from loadtest.run.thread_cpu import cpu_by_thread
from loadtest.run.worker_metrics import WorkerCounters
from loadtest.services import Services
from testkit.errors import HarnessError
from testkit.topics import Topics
from testkit.worker_process import WorkerProcess

_SAMPLE_EVERY_S: Final = 0.25
_MAX_SAMPLES: Final = 20_000
_MB: Final = 1_000_000
_CACHE_TTL_S: Final = 3_600
"""What a measurement leaves in Redis goes away by itself within the hour."""


@dataclass(frozen=True)
class Usage:
    """What a worker took. CPU seconds count since the process began."""

    rss_mb: float
    peak_rss_mb: float
    cpu_s: float


def worker_environment(
    base: Mapping[str, str], topics: Topics, services: Services, *, http_port: int
) -> dict[str, str]:
    """Return the environment of a worker over these topics; without a Redis address it runs without a cache."""
    ours = {**topics.worker_settings(), "MODERATION_HTTP__PORT": str(http_port)}
    environment = {**base, **ours, **worker_settings(services.kafka_properties)}
    environment.pop("MODERATION_REDIS__URL", None)
    if services.redis_url is not None:
        environment["MODERATION_REDIS__URL"] = services.redis_url
        environment["MODERATION_REDIS__TTL_S"] = str(_CACHE_TTL_S)
    return environment


class MeasuredWorker:
    """A running worker; ready when the `with` block begins, ended with everything committed when it closes.

    Args:
        topics: The measurement's topics.
        services: Addresses.
        n_threads: Inference threads; None leaves the worker's own rule.
        settings: MODERATION_ variables that win over the caller's environment.

    Raises (from `with`):
        LoadTestError: the worker did not get ready or did not stop as it should; quotes the end of its log.
    """

    def __init__(
        self,
        topics: Topics,
        services: Services,
        *,
        n_threads: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._port = _free_port()
        self._placement = services.placement
        base = {**os.environ, **(settings or {})}
        self._environment = worker_environment(base, topics, services, http_port=self._port)
        if n_threads is not None:
            self._environment["MODERATION_MODEL__N_THREADS"] = str(n_threads)
        self._environment.update(settings or {})
        self._peak_rss_mb = 0.0
        self._history: list[tuple[float, Usage]] = []
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="worker-watcher", daemon=True)
        self.start_to_ready_s = 0.0

    def __enter__(self) -> Self:
        self._log = tempfile.NamedTemporaryFile(prefix="verdictstream-worker-", suffix=".log")
        started = time.perf_counter()
        with self._placement.measured():
            self._process = WorkerProcess(self._environment, Path(self._log.name))
        self._observed = psutil.Process(self._process.pid)
        try:
            self._process.wait_ready(self._port)
        except HarnessError as error:
            self._process.kill()
            raise LoadTestError(f"{error}; its last lines:\n{self.log_tail()}") from error
        except BaseException:
            self._process.kill()
            raise
        self.start_to_ready_s = time.perf_counter() - started
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_watching()
        code = self._process.stop()
        tail = self.log_tail()
        self._log.close()
        if code and error is None:
            raise LoadTestError(f"the worker ended with exit code {code}, expected 0; its last lines:\n{tail}")

    @property
    def pid(self) -> int:
        """The process' id."""
        return self._process.pid

    def kill(self) -> None:
        """End it at once, as a crash would; takes the place of the `with` block's end."""
        self._stop_watching()
        self._process.kill()
        self._log.close()

    def check(self) -> None:
        """Raise LoadTestError where the worker has ended by itself."""
        try:
            self._process.check()
        except HarnessError as error:
            raise LoadTestError(f"{error}; its last lines:\n{self.log_tail()}") from error

    def usage(self) -> Usage:
        """Return what the worker takes now."""
        rss_mb = self._rss_mb()
        cpu = self._observed.cpu_times()
        return Usage(rss_mb=rss_mb, peak_rss_mb=max(rss_mb, self._peak_rss_mb), cpu_s=cpu.user + cpu.system)

    def cpu_by_thread(self) -> dict[str, float]:
        """Return the CPU seconds of its threads by kind, see `thread_cpu`."""
        return cpu_by_thread(self.pid)

    def counters(self) -> WorkerCounters:
        """Return what the worker says of itself, since it began."""
        return WorkerCounters.parse(self._process.get(self._port, "/metrics")[1].decode())

    def history(self, since_s: float) -> list[tuple[float, Usage]]:
        """Return what it took over time, with monotonic seconds, from `since_s` on, and now."""
        return [*(one for one in self._history if one[0] >= since_s), (time.perf_counter(), self.usage())]

    def log_tail(self) -> str:
        """Return the end of the worker's log."""
        return self._process.tail()

    def _stop_watching(self) -> None:
        self._stopping.set()
        self._watcher.join()

    def _rss_mb(self) -> float:
        return float(self._observed.memory_info().rss) / _MB

    def _watch(self) -> None:
        while not self._stopping.wait(_SAMPLE_EVERY_S):
            try:
                usage = self.usage()
            except psutil.NoSuchProcess:
                return
            self._peak_rss_mb = usage.peak_rss_mb
            self._history.append((time.perf_counter(), usage))
            if len(self._history) > _MAX_SAMPLES:
                # Half as many, twice as far apart: enough for a plot of a long run.
                del self._history[1::2]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
