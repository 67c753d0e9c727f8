"""`soak`: a long run of the cached path, to see whether the worker's memory stays where it is.

A few distinct chats come again and again as new records. The load is closed: at most `in_flight` events wait for their
verdict, so that the worker is busy throughout and the generator's own memory is bounded.
"""

import time
from dataclasses import dataclass
from statistics import linear_regression
from typing import Any, Final

from loadtest.errors import LoadTestError
from loadtest.ledger import Ledger
from loadtest.open_loop import QUIET_S, Bench

_IN_FLIGHT: Final = 20_000
_N_SAMPLES: Final = 200
_SETTLED_RATIO: Final = 0.1
"""Share of the run after which memory must be flat: queues, pools and arenas have their size by then."""


@dataclass(frozen=True)
class Sample:
    """The worker's memory after so many answered events."""

    n_answered: int
    rss_mb: float


def run_soak(standing: Bench, *, n_events: int) -> dict[str, Any]:
    """Send `n_events` over the pool's chats and return rates, counts and the worker's memory along the way.

    Raises:
        LoadTestError: answers stopped coming, or a worker ended.
    """
    (worker,) = standing.workers
    ledger = Ledger(standing.pool.run_id, n_events)
    standing.book_into(ledger)
    samples = [Sample(0, worker.usage().rss_mb)]
    started = time.perf_counter()
    for sequence in range(n_events):
        if sequence - ledger.n_answered >= _IN_FLIGHT:
            _wait_for_room(standing, ledger)
        ledger.sent(sequence, time.perf_counter())
        standing.sender.send(standing.pool.outgoing(sequence % len(standing.pool), sequence))
        if ledger.n_answered >= len(samples) * n_events / _N_SAMPLES:
            samples.append(Sample(ledger.n_answered, worker.usage().rss_mb))
    standing.sender.flush()
    standing.all_answered(ledger)
    elapsed_s = ledger.last_answer_s - started
    samples.append(Sample(ledger.n_answered, worker.usage().rss_mb))
    return {
        **ledger.summary(),
        "hit_ratio": round(ledger.n_hits / n_events, 4),
        "events_per_s": round(n_events / elapsed_s, 1),
        "elapsed_s": round(elapsed_s, 1),
        **memory_account(samples, n_events),
        "curve": memory_curve(samples),
        "worker_rss_mb": round(worker.usage().peak_rss_mb, 1),
    }


def _wait_for_room(standing: Bench, ledger: Ledger) -> None:
    seen, since = ledger.n_answered, time.monotonic()
    while ledger.n_lost > _IN_FLIGHT * 3 // 4:
        standing.check()
        if ledger.n_answered != seen:
            seen, since = ledger.n_answered, time.monotonic()
        elif time.monotonic() - since > QUIET_S:
            raise LoadTestError(f"{ledger.n_lost} events wait for a verdict and none came for {QUIET_S:.0f} s")
        time.sleep(0.01)


def memory_account(samples: list[Sample], n_events: int) -> dict[str, float]:
    """Return memory at the start, after a tenth and at the end, and its slope from the tenth on.

    Args:
        samples: In order; the first before the first event, the last after the last.
        n_events: Events of the run.
    """
    settled = [one for one in samples if one.n_answered >= _SETTLED_RATIO * n_events]
    slope = 0.0
    if len({one.n_answered for one in settled}) > 1:
        slope = linear_regression([one.n_answered for one in settled], [one.rss_mb for one in settled]).slope
    return {
        "rss_start_mb": round(samples[0].rss_mb, 1),
        "rss_at_10_percent_mb": round(settled[0].rss_mb, 1),
        "rss_end_mb": round(samples[-1].rss_mb, 1),
        "rss_slope_mb_per_million_events": round(1e6 * slope, 2),
    }


def memory_curve(samples: list[Sample]) -> dict[str, list[float]]:
    """Return about ten points of memory over answered events, for a plot."""
    points = samples[:: max(1, len(samples) // 10)]
    return {
        "n_answered": [one.n_answered for one in points],
        "rss_mb": [round(one.rss_mb, 1) for one in points],
    }
