"""`run`: an open-loop load, or lone events on an idle worker, and what a subscriber of the verdict topic sees of it."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final, Self

from loadtest.chats import ChatPool, Outgoing, chat_numbers
from loadtest.errors import LoadTestError
from loadtest.ledger import Ledger
from loadtest.reader import VerdictReader, into_ledger
from loadtest.schedule import constant, n_constant
from loadtest.sender import Sender, wait_for
from loadtest.services import Services
from loadtest.topics import Topics, fresh_topics
from loadtest.worker_process import Usage, WorkerProcess

QUIET_S: Final = 60.0
"""A measurement whose answers stop for this long is over; what has not come counts as lost."""

_N_WARM_UP: Final = 32
_SETTLE_S: Final = 0.3
"""After the last answer, how long repeated verdicts are still waited for."""


@dataclass(frozen=True)
class Load:
    """What is sent."""

    rate_per_s: float
    duration_s: float
    repeat_ratio: float
    seed: int


@dataclass(frozen=True)
class Bench:
    """Everything that stands while measurements run: topics, warm workers, and both ends of the load."""

    topics: Topics
    workers: list[WorkerProcess]
    sender: Sender
    reader: VerdictReader
    pool: ChatPool

    def book_into(self, ledger: Ledger) -> None:
        """Let the reader book what comes from now on."""
        self.reader.take = into_ledger(ledger, self.topics)

    def all_answered(self, ledger: Ledger) -> bool:
        """Wait until every sent event has its answer; return False when none came for QUIET_S.

        Raises:
            LoadTestError: a worker or the reader has ended.
        """

        def done() -> bool:
            self.check()
            return ledger.n_lost == 0

        return wait_for(done, progress=lambda: ledger.n_answered, quiet_s=QUIET_S)

    def check(self) -> None:
        """Raise LoadTestError where a worker or the reader has ended."""
        self.reader.check()
        for worker in self.workers:
            worker.check()


def bench(stack: ExitStack, services: Services, pool: ChatPool, *, n_workers: int, n_partitions: int) -> Bench:
    """Create topics, start workers and warm everything up; all of it ends with the stack.

    Raises:
        LoadTestError: a part of it does not start, or the warm-up is not answered.
    """
    topics = stack.enter_context(fresh_topics(services.bootstrap_servers, n_partitions=n_partitions))
    workers = [stack.enter_context(WorkerProcess(topics, services)) for _ in range(n_workers)]
    warm_up = ChatPool(pool.conversations, f"{pool.run_id}-warm")
    ledger = Ledger(warm_up.run_id, _N_WARM_UP)
    reader = stack.enter_context(VerdictReader(topics, into_ledger(ledger, topics)))
    standing = Bench(topics, workers, Sender(services.bootstrap_servers, topics.events), reader, pool)
    for sequence in range(_N_WARM_UP):
        ledger.sent(sequence, time.perf_counter())
        standing.sender.send(warm_up.outgoing(sequence, sequence))
    standing.sender.flush()
    if not standing.all_answered(ledger):
        raise LoadTestError(
            f"{ledger.n_lost} of {_N_WARM_UP} warm-up events have no verdict after {QUIET_S:.0f} s without one; "
            f"the worker's last lines:\n{workers[0].log_tail()}"
        )
    return standing


def run_load(standing: Bench, load: Load) -> dict[str, Any]:
    """Send on a constant schedule and return rates, latencies, counts and what the workers took."""
    n_events = n_constant(rate_per_s=load.rate_per_s, duration_s=load.duration_s)
    ledger = Ledger(standing.pool.run_id, n_events)
    standing.book_into(ledger)
    before = [_Reading.of(worker) for worker in standing.workers]
    started = time.perf_counter()
    lateness = standing.sender.send_on_schedule(
        _events(standing.pool, n_events, load),
        constant(rate_per_s=load.rate_per_s, duration_s=load.duration_s),
        ledger,
    )
    sent_s = time.perf_counter() - started
    standing.sender.flush()
    standing.all_answered(ledger)
    after = [_Reading.of(worker) for worker in standing.workers]
    answered_s = ledger.last_answer_s - started
    time.sleep(_SETTLE_S)
    return {
        **ledger.summary(),
        "sent_per_s": round(n_events / sent_s, 1),
        "answered_per_s": round(ledger.n_answered / answered_s, 1),
        "latency": ledger.latency.summary_ms(),
        "generator_late_p99_ms": round(lateness.percentile_ms(99), 2),
        **_taken(before, after, n_events=n_events, elapsed_s=answered_s),
    }


def _events(pool: ChatPool, n_events: int, load: Load) -> Iterator[tuple[int, Outgoing]]:
    numbers = chat_numbers(n_events, repeat_ratio=load.repeat_ratio, seed=load.seed)
    return ((sequence, pool.outgoing(number, sequence)) for sequence, number in enumerate(numbers))


@dataclass(frozen=True)
class _Reading:
    usage: Usage
    stage_s: dict[str, float]

    @classmethod
    def of(cls, worker: WorkerProcess) -> Self:
        return cls(worker.usage(), worker.stage_seconds())


def _taken(before: list[_Reading], after: list[_Reading], *, n_events: int, elapsed_s: float) -> dict[str, Any]:
    """Return what all workers together took between two readings."""
    spans = list(zip(before, after, strict=True))
    cpu_s = sum(late.usage.cpu_s - early.usage.cpu_s for early, late in spans)
    stage_us = {
        stage: 1e6 * sum(late.stage_s[stage] - early.stage_s.get(stage, 0.0) for early, late in spans) / n_events
        for stage in sorted(after[0].stage_s)
    }
    return {
        "worker_cpu_cores": round(cpu_s / elapsed_s, 2),
        "worker_cpu_ms_per_event": round(1_000 * cpu_s / n_events, 3),
        "worker_rss_mb": round(max(late.usage.peak_rss_mb for late in after), 1),
        "stage_us_per_event": {stage: round(value, 1) for stage, value in stage_us.items()},
    }


def run_lone(standing: Bench, *, n_events: int, gap_s: float) -> dict[str, Any]:
    """Send new chats one at a time: each after the verdict on the one before, at least `gap_s` after it was sent."""
    pool = ChatPool(standing.pool.conversations, f"{standing.pool.run_id}-lone")
    ledger = Ledger(pool.run_id, n_events)
    standing.book_into(ledger)
    for sequence in range(n_events):
        due_s = time.perf_counter()
        ledger.sent(sequence, due_s)
        standing.sender.send(pool.outgoing(sequence, sequence))
        if not standing.all_answered(ledger):
            break
        time.sleep(max(0.0, due_s + gap_s - time.perf_counter()))
    standing.sender.flush()
    return {
        **ledger.summary(),
        "lone_p50_ms": round(ledger.latency.percentile_ms(50), 2),
        "lone_p99_ms": round(ledger.latency.percentile_ms(99), 2),
        "lone_max_ms": round(ledger.latency.percentile_ms(100), 2),
        "worker_rss_mb": round(max(worker.usage().peak_rss_mb for worker in standing.workers), 1),
    }
