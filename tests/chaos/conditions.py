"""What a test of an outage looks at: probes, memory and whether verdicts come."""

import time
from collections.abc import Iterator

import psutil

from testkit.worker_process import WorkerProcess
from tests.integration.probes import samples, status_of

_EVERY_S = 0.5
_MB = 1_000_000


def rss_mb(worker: WorkerProcess) -> float:
    """Return what a worker takes now."""
    return float(psutil.Process(worker.pid).memory_info().rss) / _MB


def total(port: int, name: str) -> float:
    """Return the sum of one metric over its labels."""
    return sum(samples(port, name).values())


def moments(seconds: float) -> Iterator[float]:
    """Yield the seconds since the start, twice a second, for so long: for conditions that must hold all the time."""
    started = time.monotonic()
    while (elapsed_s := time.monotonic() - started) < seconds:
        yield elapsed_s
        time.sleep(_EVERY_S)


def is_live(port: int) -> bool:
    """Say whether an orchestrator would leave the worker alone."""
    return status_of(port, "/livez") == 200


def is_ready(port: int) -> bool:
    """Say whether the worker claims to take its share."""
    return status_of(port, "/readyz") == 200
