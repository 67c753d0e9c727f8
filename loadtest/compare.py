"""`compare`: the worker against its own limits, in interleaved pairs, so that the machine's mood hits both sides alike.

Each pair holds four passages over the same chats, one at a time: the worker without a cache, the bare ONNX session, the
worker with every event cached, the bare loop. The order turns round from pair to pair. Ratios are taken inside a pair.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson

from loadtest.chats import ChatPool, Outgoing, round_robin
from loadtest.errors import LoadTestError
from loadtest.open_loop import bench, run_lone
from loadtest.passage import Passage, bare_loop_passage, worker_passage
from loadtest.report import spread
from loadtest.services import Services

_N_WARM_UP: Final = 64
_N_HIT_WARM_UP: Final = 2_000
"""Enough cached events for the batch size to settle."""
_LONE_GAP_S: Final = 0.1


@dataclass(frozen=True)
class Plan:
    """What is compared, and how often."""

    bundle: Path
    n_pairs: int
    n_hit_events: int
    n_lone: int
    n_threads: int
    n_partitions: int
    max_padded_tokens: int
    max_rows: int


@dataclass
class Pair:
    """Events per second of the four passages of one pair, and what was seen beside them."""

    misses: Passage
    session: dict[str, Any]
    hits: Passage
    bare_loop: Passage

    @property
    def session_per_s(self) -> float:
        """Chats per second of the bare session."""
        return float(self.session["n_texts"]) / float(self.session["elapsed_s"])

    @property
    def agreement_ratio(self) -> float:
        """Share of chats on which worker and bare session name the same category: proof of the same work."""
        expected: list[str] = self.session["categories"]
        n_same = sum(a == b for a, b in zip(self.misses.categories, expected, strict=True))
        return n_same / len(expected)


_RATIOS: Final[dict[str, Callable[[Pair], float]]] = {
    "worker_vs_session": lambda pair: pair.misses.per_s / pair.session_per_s,
    "hits_vs_misses": lambda pair: pair.hits.per_s / pair.misses.per_s,
    "hits_vs_bare_loop": lambda pair: pair.hits.per_s / pair.bare_loop.per_s,
}


@dataclass
class Comparison:
    """Takes the passages of a comparison.

    Args:
        services: Addresses, Redis included.
        pool: The chats.
        plan: How often, how large.
        say: Told of each passage as it ends.
    """

    services: Services
    pool: ChatPool
    plan: Plan
    say: Callable[[str], None]
    pairs: list[Pair] = field(default_factory=list)

    def run(self) -> dict[str, Any]:
        """Take all measurements and return the result as the JSON line holds it."""
        with tempfile.TemporaryDirectory(prefix="verdictstream-loadtest-") as folder:
            texts = _rendered(self._miss_events("render"), self.plan.bundle, Path(folder))
            self._fill_cache()
            for number in range(self.plan.n_pairs):
                self.pairs.append(self._pair(number, texts))
        lone = self._lone()
        return self._result(lone)

    def _miss_events(self, run_id: str) -> list[Outgoing]:
        pool = ChatPool(self.pool.conversations, f"{self.pool.run_id}-{run_id}")
        return [pool.outgoing(number, number) for number in range(len(pool))]

    def _warm_up(self, run_id: str) -> list[Outgoing]:
        pool = ChatPool(self.pool.conversations[:_N_WARM_UP], f"{self.pool.run_id}-{run_id}-warm")
        return [pool.outgoing(number, number) for number in range(len(pool))]

    def _fill_cache(self) -> None:
        """Let a worker judge every chat once, so that all later events under the same chat ids are hits."""
        passage = self._worker(self.services, self._miss_events("hit"), [], f"{self.pool.run_id}-hit")
        self.say(f"cache filled: {passage.n_events} chats, {passage.per_s:.0f} chats/s")

    def _pair(self, number: int, texts: Path) -> Pair:
        taken: dict[str, Any] = {}
        steps: list[tuple[str, Callable[[], Any]]] = [
            ("misses", lambda: self._misses(number)),
            ("session", lambda: self._session(texts)),
            ("hits", self._hits),
            (
                "bare_loop",
                self._bare_loop,
            ),
        ]
        for name, take in steps if number % 2 == 0 else reversed(steps):
            taken[name] = take()
        pair = Pair(**taken)
        self.say(
            f"pair {number + 1} of {self.plan.n_pairs}: misses {pair.misses.per_s:.1f}/s, session "
            f"{pair.session_per_s:.1f}/s, hits {pair.hits.per_s:.0f}/s, bare loop {pair.bare_loop.per_s:.0f}/s"
        )
        return pair

    def _misses(self, number: int) -> Passage:
        name = f"miss{number}"
        return self._worker(
            Services(self.services.bootstrap_servers, None),
            self._miss_events(name),
            self._warm_up(name),
            f"{self.pool.run_id}-{name}",
        )

    def _hits(self) -> Passage:
        passage = self._worker(
            self.services, self._hit_events(), self._hit_events(_N_HIT_WARM_UP, "warm"), f"{self.pool.run_id}-hit"
        )
        if passage.n_hits != passage.n_events:
            raise LoadTestError(
                f"{passage.n_hits} of {passage.n_events} events were cache hits, expected all; is Redis full, or slow?"
            )
        return passage

    def _bare_loop(self) -> Passage:
        warm_up = self._hit_events(_N_HIT_WARM_UP, "warm")
        return bare_loop_passage(self.services, self._hit_events(), warm_up, n_partitions=self.plan.n_partitions)

    def _hit_events(self, n_events: int | None = None, event_run_id: str | None = None) -> list[Outgoing]:
        pool = ChatPool(self.pool.conversations, f"{self.pool.run_id}-hit")
        numbers = round_robin(n_events or self.plan.n_hit_events, len(pool))
        return [pool.outgoing(number, sequence, event_run_id=event_run_id) for sequence, number in enumerate(numbers)]

    def _worker(self, services: Services, events: list[Outgoing], warm_up: list[Outgoing], run_id: str) -> Passage:
        return worker_passage(
            services,
            events,
            warm_up,
            run_id,
            n_threads=self.plan.n_threads,
            n_partitions=self.plan.n_partitions,
        )

    def _session(self, texts: Path) -> dict[str, Any]:
        plan = self.plan
        command = [sys.executable, "-m", "loadtest", "bare-session", "--texts", str(texts)]
        command += ["--bundle", str(plan.bundle), "--threads", str(plan.n_threads)]
        command += ["--max-padded-tokens", str(plan.max_padded_tokens), "--max-rows", str(plan.max_rows)]
        answer: dict[str, Any] = orjson.loads(_output_of(command))
        return answer

    def _lone(self) -> dict[str, Any]:
        with ExitStack() as stack:
            standing = bench(stack, self.services, self.pool, n_workers=1, n_partitions=self.plan.n_partitions)
            return run_lone(standing, n_events=self.plan.n_lone, gap_s=_LONE_GAP_S)

    def _result(self, lone: dict[str, Any]) -> dict[str, Any]:
        pairs = self.pairs
        spreads = _spreads(pairs)
        workers = [passage for pair in pairs for passage in (pair.misses, pair.hits)]
        return {
            **{name: spreads[name]["median"] for name in _RATIOS},
            "lone_p50_ms": lone["lone_p50_ms"],
            "lone_p99_ms": lone["lone_p99_ms"],
            "worker_rss_mb": round(max(lone["worker_rss_mb"], *(one.peak_rss_mb for one in workers)), 1),
            "start_to_ready_s": round(median(one.start_to_ready_s for one in workers), 2),
            "category_agreement_ratio": round(min(pair.agreement_ratio for pair in pairs), 4),
            "n_pairs": len(pairs),
            "n_chats": len(self.pool),
            "n_hit_events": self.plan.n_hit_events,
            "mean_tokens": round(pairs[0].session["n_tokens"] / pairs[0].session["n_texts"], 1),
            "n_threads": self.plan.n_threads,
            "spread": spreads,
        }


def _spreads(pairs: list[Pair]) -> dict[str, dict[str, float]]:
    """Return median and range over the pairs: ratios, rates and CPU times."""
    values = {name: [ratio(pair) for pair in pairs] for name, ratio in _RATIOS.items()} | {
        "worker_chats_per_s": [pair.misses.per_s for pair in pairs],
        "session_chats_per_s": [pair.session_per_s for pair in pairs],
        "hits_per_s": [pair.hits.per_s for pair in pairs],
        "bare_loop_per_s": [pair.bare_loop.per_s for pair in pairs],
        "worker_cpu_ms_per_chat": [1_000 * pair.misses.cpu_s / pair.misses.n_events for pair in pairs],
        "session_cpu_ms_per_chat": [1_000 * pair.session["cpu_s"] / pair.session["n_texts"] for pair in pairs],
        "hit_cpu_ms_per_event": [1_000 * pair.hits.cpu_s / pair.hits.n_events for pair in pairs],
    }
    return {name: spread(one) for name, one in values.items()}


def _rendered(events: list[Outgoing], bundle: Path, folder: Path) -> Path:
    """Write the texts that the classifier reads of these events, one JSON line each, and return the file."""
    chats, texts = folder / "chats.jsonl", folder / "texts.jsonl"
    chats.write_bytes(b"".join(event.value + b"\n" for event in events))
    texts.write_bytes(
        _output_of([sys.executable, "-m", "model", "render", "--jsonl", str(chats), "--bundle", str(bundle)])
    )
    n_texts = len(texts.read_bytes().splitlines())
    if n_texts != len(events):
        raise LoadTestError(
            f"`python -m model render` printed {n_texts} texts for {len(events)} chats; expected as many"
        )
    return texts


def _output_of(command: list[str]) -> bytes:
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)  # noqa: S603  our own command lines
    if done.returncode:
        raise LoadTestError(f"`{' '.join(command[1:4])}` ended with exit code {done.returncode}; see its error above")
    return done.stdout
