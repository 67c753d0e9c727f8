"""`replay-demo`: a large replay by several processes, some of them killed, beside live traffic that is measured.

1. A live worker judges `n_events` events over a few chats, nearly all from the cache: the history.
2. The live p99 is measured undisturbed, in stretches of ten seconds: evenly spaced events, some of them new chats.
3. Processes of one replay judge the history again, at low priority; some are killed on the way; the same live load
   runs meanwhile until the replay ends.
4. Accounts are settled: each event of the range has exactly one replayed verdict or dead letter for a read_committed
   reader, and no cached verdict ever went back.
"""

import os
import signal
import statistics
import tempfile
import threading
import time
import uuid
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import orjson
import redis
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from loadtest.chats import ChatPool
from loadtest.errors import LoadTestError
from loadtest.run.measured_worker import worker_environment
from loadtest.run.open_loop import Bench, Load, run_load
from loadtest.run.schedule import Schedule
from loadtest.services import Services
from loadtest.soak.soak import SoakPlan, run_soak
from testkit.reader import Reader
from testkit.topics import Topics, created
from testkit.worker_process import WorkerProcess

_TIMEOUT_S: Final = 1_800.0
_KILL_AFTER_RATIO: Final = (0.15, 0.35, 0.5, 0.6)
"""Shares of the range after which processes are killed, in turn."""
_WATCHED: Final = 200
_LOOK_EVERY_S: Final = 0.2
_STRETCH_S: Final = 10.0
_REPEAT_RATIO: Final = 0.9


@dataclass(frozen=True)
class ReplayPlan:
    """What is shown."""

    n_events: int
    n_processes: int
    n_killed: int
    live_rate_per_s: float
    n_baseline_stretches: int
    replay_rate_per_s: float


@dataclass
class _CacheWatch:
    """Reads cached verdicts over and over and counts those that went back."""

    client: "redis.Redis"
    keys: list[str]
    n_looks: int = 0
    n_went_back: int = 0
    _newest: dict[str, tuple[int, int]] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(0.1):
            values: Any = self.client.mget(self.keys)
            for key, raw in zip(self.keys, values, strict=True):
                if raw is None:
                    continue
                source = orjson.loads(raw)["source"]
                partition, offset = source["partition"], source["offset"]
                known = self._newest.get(key)
                self.n_went_back += known is not None and known[0] == partition and offset < known[1]
                self._newest[key] = (partition, offset)
            self.n_looks += 1


def _more_topics(topics: Topics) -> dict[str, NewTopic]:
    """Return what a replay needs besides the measurement's topics, by use."""
    return {
        "replays": NewTopic(f"{topics.events}-replays", num_partitions=1, config={"cleanup.policy": "compact"}),
        "changes": NewTopic(f"{topics.events}-changes", num_partitions=1),
        "replayed": NewTopic(f"{topics.events}-replayed", num_partitions=topics.n_partitions),
    }


def run_replay_demo(standing: Bench, services: Services, plan: ReplayPlan) -> dict[str, Any]:
    """Show a replay beside live traffic; return what was measured.

    Raises:
        LoadTestError: a process ended as it should not, or the replay did not end in time.
    """
    history = run_soak(standing, SoakPlan(n_events=plan.n_events))
    before = [_stretch(standing, plan, part) for part in range(plan.n_baseline_stretches)]
    with ExitStack() as stack:
        more = _more_topics(standing.topics)
        stack.enter_context(created(standing.topics, list(more.values())))
        watch = None
        if services.redis_url is not None:
            keys = [f"verdict:{standing.pool.run_id}-{number}" for number in range(min(_WATCHED, len(standing.pool)))]
            watch = stack.enter_context(_CacheWatch(redis.Redis.from_url(services.redis_url), keys))
        environment = worker_environment(os.environ, standing.topics, services, http_port=0) | {
            "MODERATION_KAFKA__REPLAY_TOPIC": more["replays"].topic,
            "MODERATION_KAFKA__CHANGES_TOPIC": more["changes"].topic,
            # Where one is killed, the others wait for no longer than this.
            "MODERATION_KAFKA__SESSION_TIMEOUT_S": "6",
        }
        options = ["replay", "--replay-id", f"demo-{uuid.uuid4().hex[:6]}", "--verdict-topic", more["replayed"].topic]
        options += ["--priority", "low", "--rate", str(plan.replay_rate_per_s)]
        started = time.perf_counter()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="verdictstream-replay-")))
        processes = [
            WorkerProcess(environment, folder / f"{number}.log", options) for number in range(plan.n_processes)
        ]
        for process in processes:
            stack.callback(process.kill)
        beside = _beside(standing, plan, processes)
        elapsed_s = time.perf_counter() - started
        ended = [process.events("replay_ended")[-1] for process in processes[plan.n_killed :]]
        counts = _count(standing.topics, more["replayed"].topic)
        return {
            "n_history": history["n_sent"],
            "history_events_per_s": history["events_per_s"],
            "n_processes": plan.n_processes,
            "n_killed": sum(process.exit_code == -signal.SIGKILL for process in processes),
            "elapsed_s": round(elapsed_s, 1),
            "replayed_per_s": round(ended[0]["n_read"] / elapsed_s, 1),
            **{name: ended[0][name] for name in ("complete", "n_read", "n_verdicts", "n_dead_letters", "n_lost")},
            "exit_codes": [process.exit_code for process in processes],
            **counts,
            "cache_looks": watch.n_looks if watch else 0,
            "cache_went_back": watch.n_went_back if watch else 0,
            **_latencies(before, beside),
        }


def _latencies(before: list[dict[str, Any]], beside: list[dict[str, Any]]) -> dict[str, float]:
    """Return the median of the stretches' latencies, before and beside the replay, and the worst p99 beside it."""
    told: dict[str, float] = {}
    for when, stretches in (("", before), ("_beside", beside)):
        for name in ("p50_ms", "p99_ms"):
            key = f"live_{name.removesuffix('_ms')}{when}_ms"
            told[key] = round(statistics.median(one["latency"][name] for one in stretches), 2)
    told["live_p99_beside_worst_ms"] = max(one["latency"]["p99_ms"] for one in beside)
    told["live_p99_ratio"] = round(told["live_p99_beside_ms"] / told["live_p99_ms"], 2)
    told["n_stretches_beside"] = len(beside)
    return told


def _stretch(standing: Bench, plan: ReplayPlan, part: int) -> dict[str, Any]:
    """Run the live load for ten seconds, over chats of its own."""
    pool = ChatPool(standing.pool.conversations, f"{standing.pool.run_id}-live{part}")
    live = Bench(standing.topics, standing.workers, standing.sender, standing.reader, pool)
    return run_load(
        live, Load(Schedule.constant(rate_per_s=plan.live_rate_per_s, duration_s=_STRETCH_S), _REPEAT_RATIO, seed=part)
    )


def _beside(standing: Bench, plan: ReplayPlan, processes: list[WorkerProcess]) -> list[dict[str, Any]]:
    """Run the live load until the replay has ended, killing processes on the way; return every stretch of it."""
    deadline = time.monotonic() + _TIMEOUT_S
    killer = threading.Thread(target=_kill_on_the_way, args=(processes, plan.n_killed), daemon=True)
    killer.start()
    stretches: list[dict[str, Any]] = []
    while any(process.exit_code is None for process in processes[plan.n_killed :]):
        if time.monotonic() > deadline:
            raise LoadTestError(f"the replay did not end within {_TIMEOUT_S:.0f} s:\n{processes[-1].tail()}")
        stretches.append(_stretch(standing, plan, plan.n_baseline_stretches + len(stretches)))
    for process in processes:
        process.wait_exit(timeout_s=_TIMEOUT_S)
    failed = [process for process in processes[plan.n_killed :] if process.exit_code]
    if failed:
        raise LoadTestError(f"a replay ended with {failed[0].exit_code}:\n{failed[0].tail()}")
    return stretches


def _kill_on_the_way(processes: list[WorkerProcess], n_killed: int) -> None:
    for victim, after in zip(processes[:n_killed], _KILL_AFTER_RATIO, strict=False):
        done = 0.0
        while done <= after and victim.exit_code is None:
            told = [line for process in processes for line in process.events("replay_progress")]
            done = max((line["n_done"] / line["n_offsets"] for line in told), default=0.0)
            time.sleep(_LOOK_EVERY_S)
        victim.kill()


def _count(topics: Topics, replayed: str) -> dict[str, int]:
    """Return how many replayed verdicts a read_committed reader sees, and how many records have two."""
    seen: set[tuple[int, int]] = set()
    n_duplicated = 0
    with closing(Reader(topics.bootstrap_servers, [replayed], properties=topics.properties)) as reader:
        for message in reader.read_to_end():
            source = orjson.loads(message.value() or b"")["source"]
            place = (source["partition"], source["offset"])
            n_duplicated += place in seen
            seen.add(place)
    return {"n_replayed_seen": len(seen), "n_duplicated": n_duplicated}
