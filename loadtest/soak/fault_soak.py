"""`soak --faults`: a load for as long as asked, while whatever can fail fails, and the account of it.

Three brokers (three copies, two in sync) and one Redis behind fault proxies; two workers, one of which is killed and
restarted. I1 to I4 by the harness' ledger; I5 by looking at Redis all the time; I6 by the dead letters of the bad
records among the load.
"""

import itertools
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import linear_regression
from typing import Any, Final

import orjson
import redis

from deploy.local import BrokerOptions, LocalStackError
from deploy.local.proxied_stack import ProxiedStack
from loadtest.chats import ChatPool
from loadtest.errors import LoadTestError
from loadtest.services import Services
from loadtest.soak.fault_fleet import FaultFleet, Sizes
from loadtest.soak.fault_injection import FaultInjector, Struck, write_policy
from testkit.ledger import Ledger
from testkit.reader import BackgroundReader, read_all
from testkit.records import InputRecord
from testkit.sender import Sender
from testkit.waiting import wait_with_progress

_N_PARTITIONS: Final = 12
_BAD_RATIO: Final = 0.02
_BAD_VALUES: Final = (b"", b"[" * 5_000, b'{"chat_id":', b"\xff\xfe", b'{"messages":[]}')
_SAMPLE_EVERY_S: Final = 2.0
_SETTLED_RATIO: Final = 0.1
_QUIET_S: Final = 90.0
_OWED_S: Final = 30.0
"""How long after the last fault Redis may still show an older verdict."""
_LOOK_EVERY_S: Final = 0.25
_MOST_TOLD: Final = 50
_NO_REASON: Final = "none"
_BROKER_SETTINGS: Final = {"group.min.session.timeout.ms": "1000"}
_READER: Final = {"reconnect.backoff.max.ms": 500, "log_level": 0}


@dataclass(frozen=True)
class FaultSoakPlan:
    """What is sent, for how long, and which faults strike.

    Args:
        duration_s: For how long is sent.
        rate_per_s: Events per second.
        n_chats: Chats that the events go round.
        new_ratio: Share of the events that change their chat.
        seed: Same seed, same faults, same chats.
    """

    duration_s: float
    rate_per_s: float
    n_chats: int
    new_ratio: float
    seed: int


class _RedisWatch:
    """Looks at every key again and again: no chat may show an older record than before (I5).

    A Redis that has lost its data may show older verdicts until they are written again: it is looked at afresh.
    """

    def __init__(self, url: str, generation: Callable[[], int]) -> None:
        self.went_back: list[list[float | int]] = []
        """Seconds since the start, partition, offset before, offset after."""
        self.n_looks = 0
        self._started = time.monotonic()
        self._client = redis.Redis.from_url(url, socket_timeout=1.0)
        self._generation = generation
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="redis-watch", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        newest: dict[bytes, tuple[int, int]] = {}
        generation = self._generation()
        while not self._stopping.wait(_LOOK_EVERY_S):
            try:
                shown = self.shown()
            except redis.RedisError:
                continue
            if (now := self._generation()) != generation:
                newest, generation = {}, now
                continue
            self.n_looks += 1
            for key, place in shown.items():
                before = newest.get(key, place)
                if place < before:
                    self.went_back.append([round(time.monotonic() - self._started, 1), *before, place[1]])
                newest[key] = place

    def shown(self) -> dict[bytes, tuple[int, int]]:
        """Return the place of the record whose outcome each key shows."""
        keys = list(self._client.scan_iter(match="verdict:*", count=1_000))
        found: dict[bytes, tuple[int, int]] = {}
        values: list[bytes | None] = self._client.mget(keys) if keys else []  # type: ignore[assignment]
        for key, value in zip(keys, values, strict=True):
            if value is not None:
                source = orjson.loads(value)["source"]
                found[key] = int(source["partition"]), int(source["offset"])
        return found

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(10)


def soak_events(pool: ChatPool, plan: FaultSoakPlan) -> Iterator[InputRecord]:
    """Yield events without end: chats that stay as they are, chats that change, and a few records that are bad."""
    chance = random.Random(plan.seed)  # noqa: S311  a repeatable workload, not a secret
    versions = [0] * plan.n_chats
    for sequence in itertools.count():
        chat = chance.randrange(plan.n_chats)
        if chance.random() < _BAD_RATIO:
            # Under the key of the chat: its marker takes the verdict away, as I5 demands.
            yield InputRecord(f"{pool.run_id}-{chat}".encode(), chance.choice(_BAD_VALUES))
            continue
        versions[chat] += chance.random() < plan.new_ratio
        record = pool.outgoing(chat % len(pool) + versions[chat] * len(pool), sequence)
        value = orjson.loads(record.value or b"") | {"chat_id": f"{pool.run_id}-{chat}"}
        yield InputRecord(f"{pool.run_id}-{chat}".encode(), orjson.dumps(value))


def run_fault_soak(pool: ChatPool, plan: FaultSoakPlan, told: Callable[[Struck], None]) -> dict[str, Any]:
    """Send while faults strike; return the account.

    Raises:
        LoadTestError: the stack does not start.
        HarnessError: a record could not be sent, or the topics cannot be read.
    """
    proxied = ProxiedStack(3, broker_options=BrokerOptions(heap="384m", settings=_BROKER_SETTINGS))
    with ExitStack() as stack:
        try:
            stack.enter_context(proxied)
        except LocalStackError as error:
            raise LoadTestError(f"the stack did not start: {error}") from error
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="verdictstream-soak-")))
        direct = Services(proxied.stack.bootstrap_servers, proxied.stack.redis_url)
        topics = stack.enter_context(direct.fresh_topics(n_partitions=_N_PARTITIONS))
        ledger = Ledger(topics)
        reader = stack.enter_context(BackgroundReader(topics, ledger.take, properties=_READER))
        policy = folder / "policy.toml"
        write_policy(policy, 1)
        fleet = FaultFleet(
            replace(topics, bootstrap_servers=proxied.bootstrap_servers),
            Services(proxied.bootstrap_servers, proxied.redis_url),
            folder,
            {"MODERATION_MODEL__POLICY_PATH": str(policy), "MODERATION_MODEL__N_THREADS": "1"},
        )
        stack.callback(fleet.kill)
        fleet.wait_started()
        sender = Sender(topics.bootstrap_servers, topics.events, _READER)
        stack.callback(sender.close)
        injector = FaultInjector(proxied, fleet, policy, plan.seed, told)
        # Before the workers end: it starts those again that do.
        stack.callback(injector.stop)
        watch = _RedisWatch(proxied.stack.redis_url, lambda: injector.redis_lost_data)
        stack.callback(watch.close)
        samples = _send(soak_events(pool, plan), plan, sender, ledger, fleet, check=injector.check)
        injector.close()
        proxied.heal()
        sender.flush()
        wait_with_progress(lambda: ledger.n_lost == 0, progress=lambda: ledger.n_answered, quiet_s=_QUIET_S)
        n_stale = _n_stale(watch, ledger)
        watch.close()
        codes = fleet.stop()
        final = read_all(topics.bootstrap_servers, topics.outputs, properties=_READER)
        wait_with_progress(lambda: ledger.n_seen >= len(final), progress=lambda: ledger.n_seen, quiet_s=10.0)
        reader.close()
        letters = [record for record in final if record.topic == topics.dead_letters]
        return {
            "seed": plan.seed,
            "duration_s": plan.duration_s,
            "n_sent": ledger.n_sent,
            "n_lost": ledger.n_lost,
            "n_duplicated": ledger.n_duplicated,
            "n_out_of_order": ledger.n_out_of_order,
            "n_foreign": ledger.n_foreign,
            "broken": _broken(ledger, final),
            "n_rejected": len(letters),
            "rejections": dict(Counter(record.headers.get("reason", _NO_REASON) for record in letters)),
            "n_went_back": len(watch.went_back),
            "went_back": watch.went_back[:_MOST_TOLD],
            "n_redis_looks": watch.n_looks,
            "n_stale": n_stale,
            "n_faults": len(injector.struck),
            "brokers_ended": injector.brokers_ended,
            "faults": [[one.at_s, one.ended_s, one.what] for one in injector.struck],
            "exit_codes": codes,
            "n_cut": fleet.n_cut,
            "ended_by_themselves": fleet.ended_by_themselves,
            "n_batches": fleet.n_logged("batch_done"),
            "n_aborted": fleet.n_logged("batch_aborted"),
            **growth(samples),
        }


def invariants_held(result: Mapping[str, Any]) -> bool:
    """Say whether I1 to I6 held and every worker ended as it was told to."""
    wrong = ("n_lost", "n_duplicated", "n_out_of_order", "broken", "n_went_back", "n_stale", "ended_by_themselves")
    has_reasons = _NO_REASON not in result["rejections"]
    was_looked_at = result["n_redis_looks"] > 0
    return has_reasons and was_looked_at and not any(result[name] for name in wrong) and not any(result["exit_codes"])


def _send(
    events: Iterator[InputRecord],
    plan: FaultSoakPlan,
    sender: Sender,
    ledger: Ledger,
    fleet: FaultFleet,
    *,
    check: Callable[[], None],
) -> list[tuple[float, Sizes]]:
    """Send at the rate until the time is over; return what the surviving worker took along the way.

    Args:
        events: What is sent.
        plan: How fast and how long.
        sender: Sends.
        ledger: Keeps account.
        fleet: Whose memory is looked at.
        check: Raises where no more faults strike.
    """
    samples: list[tuple[float, Sizes]] = []
    started = time.monotonic()
    for sequence, record in enumerate(events):
        due_s = sequence / plan.rate_per_s
        if due_s >= plan.duration_s:
            break
        while (early_s := started + due_s - time.monotonic()) > 0:
            time.sleep(min(early_s, 0.05))
        check()
        ledger.handed_over(sequence, due_s)
        sender.send(record, on_place=partial(ledger.acknowledged, record=record))
        sender.serve()
        if not samples or due_s - samples[-1][0] >= _SAMPLE_EVERY_S:
            sizes = fleet.survivor_sizes()
            if sizes is not None:
                samples.append((due_s, sizes))
    return samples


def _broken(ledger: Ledger, final: list[Any]) -> str | None:
    """Return which of I1 to I4 does not hold, None where all do."""
    try:
        ledger.assert_exactly_once(final)
    except AssertionError as broken:
        return str(broken)[:2_000]
    return None


def _n_stale(watch: _RedisWatch, ledger: Ledger) -> int:
    """Return how many chats Redis shows an older outcome of than their newest, after it had time to make up for it."""
    newest: dict[bytes, tuple[int, int]] = {}
    for place, record in ledger.sent.items():
        key = b"verdict:" + (record.key or b"")
        newest[key] = max(newest.get(key, (0, -1)), (place.partition, place.offset))

    def count() -> int:
        return sum(place != newest.get(key) for key, place in watch.shown().items())

    deadline = time.monotonic() + _OWED_S
    while (n_stale := count()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return n_stale


def growth(samples: list[tuple[float, Sizes]]) -> dict[str, Any]:
    """Return the survivor's memory, file descriptors and threads from a tenth of the run on."""
    settled = samples[int(len(samples) * _SETTLED_RATIO) :]
    at_s, sizes = [one[0] for one in settled], [one[1] for one in settled]
    rss_mb = [one.rss_mb for one in sizes]
    slope = linear_regression(at_s, rss_mb).slope if len(set(at_s)) > 1 else 0.0
    return {
        "rss_start_mb": round(rss_mb[0], 1),
        "rss_end_mb": round(rss_mb[-1], 1),
        "rss_peak_mb": round(max(rss_mb), 1),
        "rss_slope_mb_per_hour": round(3_600 * slope, 1),
        "n_fds": [sizes[0].n_fds, max(one.n_fds for one in sizes), sizes[-1].n_fds],
        "n_threads": [sizes[0].n_threads, max(one.n_threads for one in sizes), sizes[-1].n_threads],
    }
