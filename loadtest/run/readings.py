"""What workers took while a load ran: CPU, memory, padding and stages, from outside and from their own /metrics."""

from dataclasses import dataclass
from functools import reduce
from typing import Any, Self

import numpy as np

from loadtest.run.compact_ledger import CompactLedger
from loadtest.run.measured_worker import MeasuredWorker, Usage
from loadtest.run.timeline import WorkerSeries
from loadtest.run.worker_metrics import WorkerCounters, cost_us, latency_ms


@dataclass(frozen=True)
class Reading:
    """One worker at one moment."""

    usage: Usage
    counters: WorkerCounters

    @classmethod
    def of(cls, worker: MeasuredWorker) -> Self:
        """Read it now."""
        return cls(worker.usage(), worker.counters())


def taken(before: list[Reading], after: list[Reading], ledger: CompactLedger, *, elapsed_s: float) -> dict[str, Any]:
    """Return what all workers together took between two readings.

    Args:
        before: Each worker before the load.
        after: Each worker after it, in the same order.
        ledger: The account of the load.
        elapsed_s: From the first event to the last answer, seconds.
    """
    spans = list(zip(before, after, strict=True))
    cpu_s = sum(late.usage.cpu_s - early.usage.cpu_s for early, late in spans)
    counted = reduce(WorkerCounters.plus, (late.counters.since(early.counters) for early, late in spans))
    n_events = max(1, ledger.n_answered)
    return {
        "worker_cpu_cores": round(cpu_s / elapsed_s, 2),
        "worker_cpu_ms_per_event": round(1_000 * cpu_s / n_events, 3),
        "worker_rss_mb": round(max(late.usage.peak_rss_mb for late in after), 1),
        "hit_ratio": round(ledger.n_hits / n_events, 4),
        "padding_ratio": round(counted.padding_ratio, 4),
        "stage_us_per_event": cost_us(counted, n_events),
        "stage_latency_ms": latency_ms(counted, n_events, ledger.latency.summary_ms()["mean_ms"]),
    }


def series(workers: list[MeasuredWorker], started_s: float) -> list[WorkerSeries]:
    """Return what each worker took over time since `started_s`, monotonic seconds."""
    found = []
    for worker in workers:
        history = worker.history(started_s)
        found.append(
            WorkerSeries(
                np.array([at_s - started_s for at_s, _ in history]),
                np.array([usage.rss_mb for _, usage in history]),
                np.array([usage.cpu_s for _, usage in history]),
            )
        )
    return found
