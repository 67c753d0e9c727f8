"""`compare`: the worker, its own limits, the reference path and its peers, in interleaved pairs.

Each pair holds one timed run of every side over the same chats, one at a time, so the machine's mood hits all alike.
The order turns round from pair to pair. Ratios are taken inside a pair.
"""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from loadtest.chats import ChatPool, round_robin
from loadtest.compare.pair import Pair, figures, peer_figures
from loadtest.compare.peer_run import Peer, PeerSetup, time_peer
from loadtest.compare.reference_model import REFERENCE_TOKENS
from loadtest.compare.sessions import Sessions, evenly_spaced
from loadtest.compare.timed_run import TimedRun, time_baseline_loop, time_worker
from loadtest.errors import LoadTestError
from loadtest.run.open_loop import Load, bench, run_load, run_lone
from loadtest.run.schedule import Schedule
from loadtest.services import Services
from testkit.records import InputRecord

_N_WARM_UP: Final = 64
_N_HIT_WARM_UP: Final = 2_000
"""Enough cached events for the batch size to settle."""
_LONE_GAP_S: Final = 0.1
_HALF: Final = 0.5


@dataclass(frozen=True)
class Plan:
    """What is compared, and how often."""

    bundle: Path
    n_pairs: int
    n_judged_chats: int
    """Chats of a timed run without a cache; the cached ones have all."""
    n_padded_chats: int
    """Chats of a padded session, which takes the same time for each."""
    n_hit_events: int
    n_lone: int
    half_load_s: float
    n_threads: int
    n_partitions: int
    max_padded_tokens: int
    max_rows: int


@dataclass(frozen=True)
class Others:
    """Who stands beside the worker and its own limits."""

    reference: Path
    """The reference model's file."""
    peers: Sequence[Peer]
    setup: PeerSetup
    versions: dict[str, str]
    """By distribution."""


@dataclass
class PairedRuns:
    """Takes the timed runs of a comparison.

    Args:
        services: Addresses, Redis included.
        pool: The chats.
        plan: How often, how large.
        others: Reference path and peers; None leaves them out.
        say: Told of each pair as it ends.
    """

    services: Services
    pool: ChatPool
    plan: Plan
    others: Others | None
    say: Callable[[str], None]
    pairs: list[Pair] = field(default_factory=list)

    def run(self) -> dict[str, Any]:
        """Take all measurements and return them as the JSON line holds them, but for quality, targets and machine."""
        with tempfile.TemporaryDirectory(prefix="verdictstream-loadtest-") as folder:
            sessions = Sessions(
                self.plan.bundle, Path(folder), n_threads=self.plan.n_threads, placement=self.services.placement
            )
            sessions.render(self._miss_events("render"), n_padded_chats=self.plan.n_padded_chats)
            self._fill_cache()
            for number in range(self.plan.n_pairs):
                self.pairs.append(self._pair(number, sessions))
        return {
            **figures(self.pairs, {peer.name for peer in self.others.peers if peer.is_batched} if self.others else ()),
            **self._half_load(_HALF * median(pair.misses.per_s for pair in self.pairs)),
            **self._lone(),
            "peers": self._peers(),
            "n_chats": len(self.pool),
            "n_judged_chats": len(self._miss_events("count")),
            "n_hit_events": self.plan.n_hit_events,
            "n_threads": self.plan.n_threads,
            **self.services.placement.facts(),
        }

    @property
    def _without_cache(self) -> Services:
        return replace(self.services, redis_url=None)

    def _miss_events(self, run_id: str) -> list[InputRecord]:
        pool = ChatPool(
            evenly_spaced(self.pool.conversations, self.plan.n_judged_chats), f"{self.pool.run_id}-{run_id}"
        )
        return [pool.outgoing(number, number) for number in range(len(pool))]

    def _warm_up(self, run_id: str) -> list[InputRecord]:
        pool = ChatPool(self.pool.conversations[:_N_WARM_UP], f"{self.pool.run_id}-{run_id}-warm")
        return [pool.outgoing(number, number) for number in range(len(pool))]

    def _fill_cache(self) -> None:
        """Let a worker judge every chat once, so that all later events under the same chat ids are hits."""
        run_id = f"{self.pool.run_id}-hit"
        events = [
            ChatPool(self.pool.conversations, run_id).outgoing(number, number) for number in range(len(self.pool))
        ]
        timed = self._worker(self.services, events, [], run_id)
        self.say(f"cache filled: {timed.n_events} chats, {timed.per_s:.0f} chats/s")

    def _pair(self, number: int, sessions: Sessions) -> Pair:
        plan, others = self.plan, self.others
        steps: dict[str, Callable[[], Any]] = {
            "misses": partial(self._misses, number),
            "session": sessions.in_process,
            "transformer": partial(sessions.bare, max_padded_tokens=plan.max_padded_tokens, max_rows=plan.max_rows),
            "own_padded": sessions.own_padded,
            "hits": self._hits,
            "bare_loop": self._bare_loop,
        }
        peers: dict[str, Callable[[], Any]] = {}
        if others is not None:
            steps["reference"] = partial(sessions.padded, others.reference, n_tokens=REFERENCE_TOKENS)
            peers = {peer.name: partial(self._peer, peer, others.setup, number) for peer in others.peers}
        order = [*steps, *peers]
        taken = {name: self._said(name, {**steps, **peers}[name]()) for name in _turned(order, number)}
        return Pair(**{name: taken[name] for name in steps}, peers={name: taken[name] for name in peers})

    def _said(self, name: str, found: Any) -> Any:
        per_s = found.per_s if isinstance(found, TimedRun) else found["n_texts"] / found["elapsed_s"]
        self.say(f"pair {len(self.pairs) + 1} of {self.plan.n_pairs}: {name} {per_s:,.1f}/s")
        return found

    def _misses(self, number: int) -> TimedRun:
        name = f"miss{number}"
        return self._worker(
            self._without_cache, self._miss_events(name), self._warm_up(name), f"{self.pool.run_id}-{name}"
        )

    def _peer(self, peer: Peer, setup: PeerSetup, number: int) -> TimedRun:
        name = f"peer{number}"
        return time_peer(
            peer,
            setup,
            self.services,
            self._miss_events(name),
            self._warm_up(name),
            run_id=f"{self.pool.run_id}-{name}",
        )

    def _hits(self) -> TimedRun:
        timed = self._worker(
            self.services, self._hit_events(), self._hit_events(_N_HIT_WARM_UP, "warm"), f"{self.pool.run_id}-hit"
        )
        if timed.n_hits != timed.n_events:
            raise LoadTestError(
                f"{timed.n_hits} of {timed.n_events} events were cache hits, expected all; is Redis full, or slow?"
            )
        return timed

    def _bare_loop(self) -> TimedRun:
        warm_up = self._hit_events(_N_HIT_WARM_UP, "warm")
        return time_baseline_loop(self.services, self._hit_events(), warm_up, n_partitions=self.plan.n_partitions)

    def _hit_events(self, n_events: int | None = None, event_run_id: str | None = None) -> list[InputRecord]:
        pool = ChatPool(self.pool.conversations, f"{self.pool.run_id}-hit")
        numbers = round_robin(n_events or self.plan.n_hit_events, len(pool))
        return [pool.outgoing(number, sequence, event_run_id=event_run_id) for sequence, number in enumerate(numbers)]

    def _worker(
        self, services: Services, events: list[InputRecord], warm_up: list[InputRecord], run_id: str
    ) -> TimedRun:
        return time_worker(
            services,
            events,
            warm_up,
            run_id,
            n_threads=self.plan.n_threads,
            n_partitions=self.plan.n_partitions,
        )

    def _half_load(self, rate_per_s: float) -> dict[str, Any]:
        """Send at half of the rate just measured, without a cache, and look at the latencies."""
        pool = ChatPool(self.pool.conversations, f"{self.pool.run_id}-half")
        schedule = Schedule.constant(rate_per_s=rate_per_s, duration_s=self.plan.half_load_s)
        with ExitStack() as stack:
            standing = bench(stack, self._without_cache, pool, n_workers=1, n_partitions=self.plan.n_partitions)
            found = run_load(standing, Load(schedule, repeat_ratio=0.0, seed=1))
        if found["n_lost"] or found["n_duplicated"] or found["n_dead_letters"]:
            raise LoadTestError(f"at {rate_per_s:.1f}/s {found}; expected one verdict for each event, no more")
        self.say(f"half load: p99 {found['latency']['p99_ms']:.1f} ms at {rate_per_s:.1f}/s")
        return {
            "p50_half_load_ms": found["latency"]["p50_ms"],
            "p99_half_load_ms": found["latency"]["p99_ms"],
            "half_load_generator_late_p99_ms": found["generator_late_p99_ms"],
            "half_load_rate_per_s": round(rate_per_s, 1),
            "half_load_s": self.plan.half_load_s,
        }

    def _lone(self) -> dict[str, Any]:
        with ExitStack() as stack:
            standing = bench(stack, self.services, self.pool, n_workers=1, n_partitions=self.plan.n_partitions)
            found = run_lone(standing, n_events=self.plan.n_lone, gap_s=_LONE_GAP_S)
        peak_rss_mb = (timed.peak_rss_mb for pair in self.pairs for timed in (pair.misses, pair.hits))
        return {
            "lone_p50_ms": found["lone_p50_ms"],
            "lone_p99_ms": found["lone_p99_ms"],
            "worker_rss_mb": round(max(found["worker_rss_mb"], *peak_rss_mb), 1),
        }

    def _peers(self) -> dict[str, Any]:
        others = self.others
        if others is None:
            return {}
        found = peer_figures(self.pairs)
        return {
            peer.name: {
                **found[peer.name],
                "guarantee": peer.guarantee,
                "version": f"{peer.distribution} {others.versions[peer.distribution]}",
            }
            for peer in others.peers
        }


def _turned(names: Sequence[str], number: int) -> Sequence[str]:
    return names if number % 2 == 0 else names[::-1]
