"""`soak`: a long run, cached or mixed, to see whether the worker's memory stays where it is.

A few distinct chats come again and again as new records; a share of the events may be chats never sent
before, which the cache cannot answer. The load is closed: at most `in_flight` events wait for their verdict, so that
the worker is busy throughout and the generator's own memory is bounded.
"""

import itertools
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import linear_regression
from typing import Any, Final

from loadtest.errors import LoadTestError
from loadtest.run.compact_ledger import CompactLedger
from loadtest.run.open_loop import QUIET_S, Bench

_IN_FLIGHT: Final = 20_000
_IN_FLIGHT_MIXED: Final = 2_000
"""What the model must judge comes out some hundred times slower than what the cache answers."""
_N_SAMPLES: Final = 200
_LOOK_EVERY: Final = 64
"""Clock and memory are looked at once in so many events, which leaves the CPU to the worker."""
_SETTLED_RATIO: Final = 0.1
"""Share of the run after which memory must be flat: queues, pools and arenas have their size by then."""


@dataclass(frozen=True)
class Sample:
    """The worker's memory after so many answered events."""

    n_answered: int
    rss_mb: float
    at_s: float = 0.0
    """Since the start of the run."""


@dataclass(frozen=True)
class SoakPlan:
    """What is sent. The first limit that is reached ends it.

    Args:
        n_events: Most events; None sets no limit.
        duration_s: Longest time of sending; None sets no limit.
        new_ratio: Share of events whose chat was never sent before, 0 to 1.
        seed: Same seed, same order.
        in_flight: Most events that wait for a verdict; None takes 20,000, or 2,000 with new chats.

    Raises:
        ValueError: it has no end.
    """

    n_events: int | None = None
    duration_s: float | None = None
    new_ratio: float = 0.0
    seed: int = 1
    in_flight: int | None = None

    def __post_init__(self) -> None:
        if self.n_events is None and self.duration_s is None:
            raise ValueError(f"{self}: expected n_events or duration_s, or both; else it has no end")

    @property
    def most_in_flight(self) -> int:
        """Most events that wait for a verdict."""
        return self.in_flight or (_IN_FLIGHT_MIXED if self.new_ratio else _IN_FLIGHT)

    def progress(self, *, n_events: int, elapsed_s: float) -> float:
        """Return how much of the run is over, 1 at its end."""
        by_events = n_events / self.n_events if self.n_events is not None else 0.0
        by_time = elapsed_s / self.duration_s if self.duration_s is not None else 0.0
        return max(by_events, by_time)


def soak_numbers(n_chats: int, plan: SoakPlan) -> Iterator[int]:
    """Yield chat numbers without end: the same `n_chats` in turn, and new ones from there on."""
    choice = random.Random(plan.seed)  # noqa: S311  a repeatable workload, not a secret
    n_known, n_new = 0, 0
    while True:
        if plan.new_ratio and choice.random() < plan.new_ratio:
            yield n_chats + n_new
            n_new += 1
        else:
            yield n_known % n_chats
            n_known += 1


def run_soak(standing: Bench, plan: SoakPlan) -> dict[str, Any]:
    """Send over the pool's chats and return rates, counts and the worker's memory along the way.

    Raises:
        LoadTestError: answers stopped coming, or a worker ended.
    """
    (worker,) = standing.workers
    ledger = CompactLedger(standing.topics, standing.pool.run_id)
    standing.book_into(ledger)
    samples = [Sample(0, worker.usage().rss_mb)]
    started = time.perf_counter()
    for sequence, number in enumerate(itertools.islice(soak_numbers(len(standing.pool), plan), plan.n_events)):
        if sequence % _LOOK_EVERY == 0:
            elapsed_s = time.perf_counter() - started
            if plan.duration_s is not None and elapsed_s >= plan.duration_s:
                break
            if plan.progress(n_events=ledger.n_answered, elapsed_s=elapsed_s) * _N_SAMPLES >= len(samples):
                samples.append(Sample(ledger.n_answered, worker.usage().rss_mb, elapsed_s))
        if sequence - ledger.n_answered >= plan.most_in_flight:
            _wait_for_room(standing, ledger, plan.most_in_flight)
        ledger.handed_over(sequence, time.perf_counter())
        standing.sender.send(standing.pool.outgoing(number, sequence))
    standing.sender.flush()
    standing.all_answered(ledger)
    elapsed_s = ledger.last_answer_s - started
    samples.append(Sample(ledger.n_answered, worker.usage().rss_mb, elapsed_s))
    return {
        **ledger.summary(),
        "hit_ratio": round(ledger.n_hits / ledger.n_sent, 4),
        "new_ratio": plan.new_ratio,
        "events_per_s": round(ledger.n_sent / elapsed_s, 1),
        "elapsed_s": round(elapsed_s, 1),
        **memory_account(samples),
        "curve": memory_curve(samples),
        "worker_rss_mb": round(worker.usage().peak_rss_mb, 1),
    }


def _wait_for_room(standing: Bench, ledger: CompactLedger, in_flight: int) -> None:
    seen, since = ledger.n_answered, time.monotonic()
    while ledger.n_lost > in_flight * 3 // 4:
        standing.check()
        if ledger.n_answered != seen:
            seen, since = ledger.n_answered, time.monotonic()
        elif time.monotonic() - since > QUIET_S:
            raise LoadTestError(f"{ledger.n_lost} events wait for a verdict and none came for {QUIET_S:.0f} s")
        time.sleep(0.01)


def memory_account(samples: list[Sample]) -> dict[str, float]:
    """Return memory at the start, after a tenth and at the end, and its slope from the tenth on.

    Args:
        samples: In order; the first before the first event, the last after the last.
    """
    settled = [one for one in samples if one.n_answered >= _SETTLED_RATIO * samples[-1].n_answered]
    rss_mb = [one.rss_mb for one in settled]
    return {
        "rss_start_mb": round(samples[0].rss_mb, 1),
        "rss_at_10_percent_mb": round(settled[0].rss_mb, 1),
        "rss_end_mb": round(samples[-1].rss_mb, 1),
        "rss_slope_mb_per_million_events": round(1e6 * _slope([one.n_answered for one in settled], rss_mb), 2),
        "rss_slope_mb_per_hour": round(3_600 * _slope([one.at_s for one in settled], rss_mb), 2),
    }


def _slope(x: list[int] | list[float], y: list[float]) -> float:
    """Return the slope of the least-squares line; 0 where all x are the same."""
    return linear_regression(x, y).slope if len(set(x)) > 1 else 0.0


def memory_curve(samples: list[Sample]) -> dict[str, list[float]]:
    """Return memory over answered events and time, at most about a hundred points, for a plot."""
    points = samples[:: max(1, len(samples) // 100)]
    return {
        "at_s": [round(one.at_s, 1) for one in points],
        "n_answered": [one.n_answered for one in points],
        "rss_mb": [round(one.rss_mb, 1) for one in points],
    }
