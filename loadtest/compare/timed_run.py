"""One timed run of a whole workload: a topic that fills at one instant, until the last committed verdict is read.

The worker is running, ready and warm before. The events wait in an open transaction and become visible together, so the
clock holds no producing, and holds everything else: fetching, all stages, every transaction, the reader's last fetch.
Records are only kept while the clock runs, and booked afterwards.
"""

import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import orjson
from confluent_kafka import Message, Producer

from loadtest.errors import LoadTestError
from loadtest.run.compact_ledger import CompactLedger
from loadtest.run.measured_worker import MeasuredWorker
from loadtest.services import Services
from testkit.reader import BackgroundReader, Take
from testkit.records import InputRecord
from testkit.sender import producer_config
from testkit.topics import Topics
from testkit.waiting import wait_with_progress

_QUIET_S: Final = 120.0
_FLUSH_S: Final = 60.0
_BACKPRESSURE_S: Final = 0.01
_STOP_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True)
class TimedRun:
    """One timed run."""

    n_events: int
    elapsed_s: float
    cpu_s: float = 0.0
    """CPU seconds of the worker's process, all threads; 0 where none was watched."""
    n_hits: int = 0
    categories: tuple[str, ...] = ()
    """Category code of each event, in the order of the events; empty where it was not looked at."""
    start_to_ready_s: float = 0.0
    peak_rss_mb: float = 0.0
    cpu_by_thread_s: Mapping[str, float] = field(default_factory=dict)
    """CPU seconds of the worker's threads by kind, see `loadtest.run.thread_cpu`; empty where none was watched."""
    stage_s: Mapping[str, float] = field(default_factory=dict)
    """Seconds of the clock that the worker spent in each stage, see `loadtest.run.worker_metrics`."""

    @property
    def per_s(self) -> float:
        """Events per second."""
        return self.n_events / self.elapsed_s


class Collected:
    """Keeps records unread while the clock runs, so that the generator takes no CPU from what it measures."""

    def __init__(self) -> None:
        self._steps: list[tuple[Sequence[Message], float]] = []
        self.last_s = 0.0

    def take(self, messages: Sequence[Message], now_s: float) -> None:
        """Keep one step of records."""
        self._steps.append((messages, now_s))
        self.last_s = now_s

    def book(self, take: Take) -> None:
        """Hand everything on, with the times at which it was seen."""
        for messages, now_s in self._steps:
            take(messages, now_s)

    def messages(self) -> Iterator[Message]:
        """Yield the records kept, in the order in which they were seen."""
        for messages, _ in self._steps:
            yield from messages


def release_at_once(bootstrap_servers: str, topic: str, events: Iterable[InputRecord]) -> float:
    """Write events in one transaction and commit it: a read_committed reader sees none of them, then all of them.

    Returns:
        When the commit was asked for, monotonic seconds. From then on the topic is full for its readers, and this
        process produces nothing more.
    """
    producer = Producer(producer_config(bootstrap_servers) | {"transactional.id": f"loadtest-{uuid.uuid4().hex}"})
    producer.init_transactions(_FLUSH_S)
    producer.begin_transaction()
    for event in events:
        while True:
            try:
                producer.produce(topic, event.value, event.key)
                break
            except BufferError:
                producer.poll(_BACKPRESSURE_S)
    if producer.flush(_FLUSH_S):
        raise LoadTestError(f"{topic}: the brokers did not take the events within {_FLUSH_S} s; check them")
    released_s = time.perf_counter()
    producer.commit_transaction(_FLUSH_S)
    return released_s


def pass_through(
    topics: Topics,
    events: Sequence[InputRecord],
    reader: BackgroundReader,
    collected: Collected,
    check: Callable[[], None],
) -> float:
    """Release the events, wait for as many committed records, and return the seconds between.

    Raises:
        LoadTestError: the records stop coming before all are there; or from `check`.
    """
    n_expected = reader.n_read + len(events)

    def done() -> bool:
        check()
        reader.check()
        return reader.n_read >= n_expected

    released_s = release_at_once(topics.bootstrap_servers, topics.events, events)
    if not wait_with_progress(done, progress=lambda: reader.n_read, quiet_s=_QUIET_S):
        raise LoadTestError(
            f"{topics.verdicts}: {n_expected - reader.n_read} of {len(events)} verdicts are missing and none came for "
            f"{_QUIET_S:.0f} s; look at the worker's log"
        )
    return collected.last_s - released_s


def time_worker(
    services: Services,
    events: Sequence[InputRecord],
    warm_up: Sequence[InputRecord],
    run_id: str,
    *,
    n_threads: int,
    n_partitions: int,
) -> TimedRun:
    """Start a worker over fresh topics, warm it up, take the time of one run, stop it.

    Args:
        services: Addresses; without a Redis address the worker has no cache.
        events: In sequence order, from 0, under `run_id`.
        warm_up: Events under another run id, passed before and not timed.
        run_id: The run id of `events`.
        n_threads: Inference threads.
        n_partitions: Partitions of each topic.

    Raises:
        LoadTestError: an event was lost, duplicated or dead-lettered: such a timed run has no meaningful time.
    """
    collected = Collected()
    with (
        services.fresh_topics(n_partitions=n_partitions) as topics,
        MeasuredWorker(topics, services, n_threads=n_threads) as worker,
        BackgroundReader(topics, collected.take) as reader,
    ):
        if warm_up:
            pass_through(topics, warm_up, reader, collected, worker.check)
        before, threads, counters = worker.usage(), worker.cpu_by_thread(), worker.counters()
        elapsed_s = pass_through(topics, events, reader, collected, worker.check)
        usage, threads_after, counted = worker.usage(), worker.cpu_by_thread(), worker.counters().since(counters)
    timed = accounted(collected, topics, run_id, n_events=len(events), elapsed_s=elapsed_s)
    return replace(
        timed,
        cpu_s=usage.cpu_s - before.cpu_s,
        start_to_ready_s=worker.start_to_ready_s,
        peak_rss_mb=usage.peak_rss_mb,
        cpu_by_thread_s={kind: threads_after[kind] - threads[kind] for kind in threads},
        stage_s=counted.stage_s,
    )


def accounted(collected: Collected, topics: Topics, run_id: str, *, n_events: int, elapsed_s: float) -> TimedRun:
    """Book what a timed run answered, and return it.

    Raises:
        LoadTestError: an event was lost, duplicated or dead-lettered: such a timed run has no meaningful time.
    """
    ledger = CompactLedger(topics, run_id, n_events)
    for sequence in range(n_events):
        ledger.handed_over(sequence, collected.last_s - elapsed_s)
    collected.book(ledger.take)
    if ledger.n_lost or ledger.n_duplicated or ledger.n_dead_letters:
        raise LoadTestError(f"a timed run ended with {ledger.summary()}; expected one verdict for each event, no more")
    return TimedRun(
        n_events=n_events,
        elapsed_s=elapsed_s,
        n_hits=ledger.n_hits,
        categories=_categories(collected, run_id, topics, n_events),
    )


def _categories(collected: Collected, run_id: str, topics: Topics, n_events: int) -> tuple[str, ...]:
    found = [""] * n_events
    for message in collected.messages():
        if message.topic() == topics.verdicts:
            verdict = orjson.loads(message.value() or b"{}")
            prefix, _, sequence = str(verdict["event_id"]).rpartition(":")
            if prefix == run_id:
                found[int(sequence)] = verdict["category"]["code"]
    return tuple(found)


def time_baseline_loop(
    services: Services, events: Sequence[InputRecord], warm_up: Sequence[InputRecord], *, n_partitions: int
) -> TimedRun:
    """Time one run of the baseline loop, in its own process, over topics like the worker's.

    Raises:
        LoadTestError: there is no Redis, or the loop failed.
    """
    if services.redis_url is None:
        raise LoadTestError("the baseline loop reads verdicts from Redis and none is given; name one with --redis-url")
    collected = Collected()
    with services.fresh_topics(n_partitions=n_partitions) as topics:
        command = [sys.executable, "-m", "loadtest", "bare-loop", "--n-events", str(len(warm_up) + len(events))]
        command += ["--bootstrap-servers", topics.bootstrap_servers, "--redis-url", services.redis_url]
        command += ["--events-topic", topics.events, "--verdict-topic", topics.verdicts]
        with services.placement.measured():
            started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  our own command line
        with (
            started as loop,
            BackgroundReader(topics, collected.take) as reader,
        ):
            try:
                # One line says that the group has given the loop its partitions.
                _check_loop(loop, is_ready=bool(loop.stdout and loop.stdout.readline()))
                for sent in (warm_up, events):
                    elapsed_s = pass_through(topics, sent, reader, collected, lambda: _check_loop(loop, is_ready=True))
                loop.wait(_STOP_TIMEOUT_S)
            finally:
                loop.kill()
    return TimedRun(n_events=len(events), elapsed_s=elapsed_s, n_hits=len(events))


def _check_loop(loop: "subprocess.Popen[str]", *, is_ready: bool) -> None:
    if not is_ready or loop.poll():
        raise LoadTestError(f"the baseline loop ended early (exit code {loop.wait(_STOP_TIMEOUT_S)}); see its error")
