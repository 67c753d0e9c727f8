"""`hostile`: records that are small in the topic and large in memory, and what a worker's memory and time make of them.

Twice: one kind after the other to a running worker, and all of them in the topic before a worker starts, which is what
a worker that was killed for its memory finds again.
"""

import itertools
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Message, Producer

from loadtest.errors import LoadTestError
from loadtest.hostile.records import KINDS, HostileKind
from loadtest.run.measured_worker import MeasuredWorker
from loadtest.services import Services
from testkit.ledger import answered_place
from testkit.reader import BackgroundReader
from testkit.records import OutputRecord, Place
from testkit.sender import producer_config
from testkit.topics import Topics
from testkit.waiting import wait_with_progress

LIMIT_MB: Final = 100.0
"""How far above the memory of a ready worker hostile records may take it."""

_QUIET_S: Final = 60.0
_FLUSH_S: Final = 60.0
_MB: Final = 1e6


class _Outcomes:
    """Counts outcomes, each of an input record once."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self.by_place: dict[Place, str] = {}

    def take(self, messages: Sequence[Message], _now_s: float) -> None:
        for record in map(OutputRecord.of, messages):
            is_verdict = record.topic == self._topics.verdicts
            self.by_place[answered_place(record, self._topics)] = "verdict" if is_verdict else record.headers["reason"]


@dataclass(frozen=True)
class _Bench:
    """A worker over topics of its own, and the outcomes that it writes."""

    topics: Topics
    worker: MeasuredWorker
    reader: BackgroundReader
    outcomes: _Outcomes = field(repr=False)

    def peak_rss_mb(self) -> float:
        lines = Path(f"/proc/{self.worker.pid}/status").read_text("ascii").splitlines()
        return next(int(line.split()[1]) * 1024 / _MB for line in lines if line.startswith("VmHWM"))

    def forget_peak(self) -> None:
        # Linux: sets the high-water mark to what is resident now.
        Path(f"/proc/{self.worker.pid}/clear_refs").write_text("5", "ascii")

    def wait(self, n_records: int) -> None:
        """Wait until so many records have an outcome."""

        def done() -> bool:
            self.worker.check()
            self.reader.check()
            return len(self.outcomes.by_place) >= n_records

        if not wait_with_progress(done, progress=lambda: len(self.outcomes.by_place), quiet_s=_QUIET_S):
            raise LoadTestError(
                f"{len(self.outcomes.by_place)} of {n_records} records have an outcome and none came for "
                f"{_QUIET_S:.0f} s; expected one for each; the worker's last lines:\n{self.worker.log_tail()}"
            )


def run_hostile(services: Services, *, n_records: int, kinds: Sequence[HostileKind] = KINDS) -> dict[str, Any]:
    """Send every kind and return memory, time and outcomes.

    Raises:
        LoadTestError: a worker ended, or records got no outcome.
    """
    result: dict[str, Any] = {"n_records_of_each_kind": n_records, "limit_mb": LIMIT_MB}
    with ExitStack() as stack:
        bench = _bench(stack, services)
        ready_mb = bench.worker.usage().rss_mb
        result["ready_rss_mb"] = round(ready_mb, 1)
        result["kinds"] = [_one_kind(kind, n_records, bench, ready_mb) for kind in kinds]
    with ExitStack() as stack:
        bench = _bench(stack, services, waiting=kinds, n_records=n_records)
        bench.wait(len(kinds) * n_records)
        result["after_start"] = {
            "outcomes": dict(Counter(bench.outcomes.by_place.values())),
            "above_ready_mb": round(bench.peak_rss_mb() - ready_mb, 1),
        }
    result["most_above_ready_mb"] = max(one["above_ready_mb"] for one in [*result["kinds"], result["after_start"]])
    return result


def _bench(stack: ExitStack, services: Services, *, waiting: Sequence[HostileKind] = (), n_records: int = 0) -> _Bench:
    topics = stack.enter_context(services.fresh_topics(n_partitions=1))
    for kind in waiting:
        _send(topics, kind, n_records)
    outcomes = _Outcomes(topics)
    reader = stack.enter_context(BackgroundReader(topics, outcomes.take))
    return _Bench(topics, stack.enter_context(MeasuredWorker(topics, services)), reader, outcomes)


def _one_kind(kind: HostileKind, n_records: int, bench: _Bench, ready_mb: float) -> dict[str, Any]:
    worker = bench.worker
    n_before, before, began = len(bench.outcomes.by_place), worker.counters(), worker.usage()
    bench.forget_peak()
    started = time.perf_counter()
    n_bytes = _send(bench.topics, kind, n_records)
    bench.wait(n_before + n_records)
    elapsed_s, stages = time.perf_counter() - started, worker.counters().since(before).stage_s
    return {
        "kind": kind.name,
        "record_bytes": n_bytes // n_records,
        "outcomes": dict(Counter(itertools.islice(bench.outcomes.by_place.values(), n_before, None))),
        "above_ready_mb": round(bench.peak_rss_mb() - ready_mb, 1),
        "decode_ms_per_record": round(1e3 * stages.get("decode", 0.0) / n_records, 1),
        "tokenize_ms_per_record": round(1e3 * stages.get("tokenize", 0.0) / n_records, 1),
        "worker_cpu_ms_per_record": round(1e3 * (worker.usage().cpu_s - began.cpu_s) / n_records, 1),
        "elapsed_s": round(elapsed_s, 1),
    }


def _send(topics: Topics, kind: HostileKind, n_records: int) -> int:
    """Write records in compressed batches of 24, as producers that wait for full batches do; return their bytes."""
    producer = Producer(
        producer_config(topics.bootstrap_servers)
        | {
            "compression.type": "gzip",
            "message.max.bytes": 100_000_000,
            "batch.size": 80_000_000,
            "batch.num.messages": 24,
            "linger.ms": 2_000,
        }
        | dict(topics.properties)
    )
    n_bytes = 0
    for number in range(n_records):
        value = kind.record(number)
        n_bytes += len(value)
        producer.produce(topics.events, value, f"hostile-{number}")
    if producer.flush(_FLUSH_S):
        raise LoadTestError(f"{kind.name}: the brokers did not take {n_records} records within {_FLUSH_S} s")
    return n_bytes
