"""`run`: an open-loop load, or lone events on an idle worker, and what a subscriber of the verdict topic sees of it."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Final

from loadtest.chats import ChatPool, chat_numbers
from loadtest.errors import LoadTestError
from loadtest.run.compact_ledger import CompactLedger
from loadtest.run.latency import LatencyHistogram
from loadtest.run.measured_worker import MeasuredWorker
from loadtest.run.readings import Reading, series, taken
from loadtest.run.schedule import Schedule
from loadtest.run.timeline import recovery, timeline
from loadtest.services import Services
from testkit.reader import BackgroundReader
from testkit.records import InputRecord
from testkit.sender import Sender
from testkit.topics import Topics
from testkit.waiting import wait_with_progress

QUIET_S: Final = 60.0
"""A measurement whose answers stop for this long is over; what has not come counts as lost."""

_N_WARM_UP: Final = 250
_WARM_UP_GAP_S: Final = 0.02
"""At a pace, so that there are hundreds of transactions: a broker that has just started is slow at the first ones."""

_SETTLE_S: Final = 0.3
"""After the last answer, how long repeated verdicts are still waited for."""


@dataclass(frozen=True)
class Load:
    """What is sent.

    Args:
        schedule: When.
        repeat_ratio: Share of events that repeat an earlier chat unchanged, 0 to 1.
        seed: Same seed, same sequence of chats.
        limit_ms: What p99 must be back under after a burst, milliseconds.
    """

    schedule: Schedule
    repeat_ratio: float
    seed: int
    limit_ms: float = 100.0


@dataclass(frozen=True)
class Bench:
    """Everything that stands while measurements run: topics, warm workers, and both ends of the load."""

    topics: Topics
    workers: list[MeasuredWorker]
    sender: Sender
    reader: BackgroundReader
    pool: ChatPool

    def book_into(self, ledger: CompactLedger) -> None:
        """Let the reader book what comes from now on."""
        self.reader.take = ledger.take

    def all_answered(self, ledger: CompactLedger) -> bool:
        """Wait until every sent event has its answer; return False when none came for QUIET_S.

        Raises:
            LoadTestError: a worker or the reader has ended.
        """

        def done() -> bool:
            self.check()
            return ledger.n_lost == 0

        return wait_with_progress(done, progress=lambda: ledger.n_answered, quiet_s=QUIET_S)

    def check(self) -> None:
        """Raise LoadTestError where a worker or the reader has ended."""
        self.reader.check()
        for worker in self.workers:
            worker.check()


def bench(
    stack: ExitStack,
    services: Services,
    pool: ChatPool,
    *,
    n_workers: int,
    n_partitions: int,
    settings: Mapping[str, str] | None = None,
) -> Bench:
    """Create topics, start workers and warm everything up; all of it ends with the stack.

    Args:
        stack: Ends it.
        services: Addresses.
        pool: The chats.
        n_workers: Workers in the group.
        n_partitions: Partitions of each topic.
        settings: Further MODERATION_ variables of the workers.

    Raises:
        LoadTestError: a part of it does not start, or the warm-up is not answered.
    """
    topics = stack.enter_context(services.fresh_topics(n_partitions=n_partitions))
    workers = [stack.enter_context(MeasuredWorker(topics, services, settings=settings)) for _ in range(n_workers)]
    warm_up = ChatPool(pool.conversations, f"{pool.run_id}-warm")
    ledger = CompactLedger(topics, warm_up.run_id, _N_WARM_UP)
    reader = stack.enter_context(BackgroundReader(topics, ledger.take))
    sender = stack.enter_context(closing(Sender(topics.bootstrap_servers, topics.events, topics.properties)))
    standing = Bench(topics, workers, sender, reader, pool)
    send_on_schedule(
        standing.sender,
        ((sequence, warm_up.outgoing(sequence, sequence)) for sequence in range(_N_WARM_UP)),
        (sequence * _WARM_UP_GAP_S for sequence in range(_N_WARM_UP)),
        ledger,
    )
    standing.sender.flush()
    if not standing.all_answered(ledger):
        raise LoadTestError(
            f"{ledger.n_lost} of {_N_WARM_UP} warm-up events have no verdict after {QUIET_S:.0f} s without one; "
            f"the worker's last lines:\n{workers[0].log_tail()}"
        )
    return standing


def send_on_schedule(
    sender: Sender,
    events: Iterable[tuple[int, InputRecord]],
    due_s: Iterable[float],
    ledger: CompactLedger,
    *,
    is_over: Callable[[], bool] = lambda: False,
) -> LatencyHistogram:
    """Send (sequence, event) pairs when they are due, seconds from now; never waits for an answer.

    Args:
        sender: Sends them.
        events: What is sent, in order.
        due_s: When each is due, as many as events.
        ledger: Where they are booked.
        is_over: Asked before each event; the rest is not sent once it is true.

    Returns:
        How long after its intended time each event was handed to the client: the generator's own delay.
    """
    lateness = LatencyHistogram()
    start = time.perf_counter()
    for (sequence, event), due in zip(events, due_s, strict=True):
        if is_over():
            break
        intended = start + due
        while (early_s := intended - time.perf_counter()) > 0:
            time.sleep(early_s)
        ledger.handed_over(sequence, intended)
        sender.send(event)
        lateness.record(time.perf_counter() - intended)
    return lateness


def run_load(
    standing: Bench, load: Load, *, is_over: Callable[[CompactLedger], bool] = lambda _ledger: False
) -> dict[str, Any]:
    """Send on a schedule and return rates, latencies, counts, the run second by second and what the workers took.

    Args:
        standing: Where it is sent.
        load: What is sent.
        is_over: Asked before each event; the rest is not sent once it is true.
    """
    n_events = len(load.schedule)
    ledger = CompactLedger(standing.topics, standing.pool.run_id, n_events)
    standing.book_into(ledger)
    before = [Reading.of(worker) for worker in standing.workers]
    started = time.perf_counter()
    lateness = send_on_schedule(
        standing.sender,
        _events(standing.pool, n_events, load),
        load.schedule.due_s,
        ledger,
        is_over=lambda: is_over(ledger),
    )
    sent_s = time.perf_counter() - started
    standing.sender.flush()
    standing.all_answered(ledger)
    time.sleep(_SETTLE_S)
    after = [Reading.of(worker) for worker in standing.workers]
    answered_s = max(ledger.last_answer_s - started, 1e-3)
    return {
        "schedule": load.schedule.kind,
        **ledger.summary(),
        "sent_per_s": round(ledger.n_sent / sent_s, 1),
        "answered_per_s": round(ledger.n_answered / answered_s, 1),
        "latency": ledger.latency.summary_ms(),
        "generator_late_p99_ms": round(lateness.percentile_ms(99), 2),
        **taken(before, after, ledger, elapsed_s=answered_s),
        **_over_time(standing, load, ledger, started),
        "latency_curve_ms": ledger.latency.curve_ms(),
    }


def _over_time(standing: Bench, load: Load, ledger: CompactLedger, started: float) -> dict[str, Any]:
    due_s, answered_s = ledger.times()
    due_s, answered_s = due_s - started, answered_s - started
    found: dict[str, Any] = {"timeline": timeline(due_s, answered_s, series(standing.workers, started))}
    if load.schedule.burst_s is not None:
        found["burst"] = recovery(due_s, answered_s, burst_s=load.schedule.burst_s, limit_ms=load.limit_ms)
    return found


def _events(pool: ChatPool, n_events: int, load: Load) -> Iterator[tuple[int, InputRecord]]:
    numbers = chat_numbers(n_events, repeat_ratio=load.repeat_ratio, seed=load.seed)
    return ((sequence, pool.outgoing(number, sequence)) for sequence, number in enumerate(numbers))


def run_lone(standing: Bench, *, n_events: int, gap_s: float) -> dict[str, Any]:
    """Send new chats one at a time: each after the verdict on the one before, at least `gap_s` after it was sent."""
    pool = ChatPool(standing.pool.conversations, f"{standing.pool.run_id}-lone")
    ledger = CompactLedger(standing.topics, pool.run_id, n_events)
    standing.book_into(ledger)
    for sequence in range(n_events):
        due_s = time.perf_counter()
        ledger.handed_over(sequence, due_s)
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
