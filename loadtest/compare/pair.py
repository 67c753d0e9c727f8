"""One interleaved pair of a comparison, and the figures that are taken inside it. Pure."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any, Final

from loadtest.compare.timed_run import TimedRun
from loadtest.report.report import spread


@dataclass(frozen=True)
class Pair:
    """What the timed runs of one pair took. Sessions are as their processes print them."""

    misses: TimedRun
    session: Mapping[str, Any]
    """The worker's classifier in a process without a service."""
    transformer: Mapping[str, Any]
    """Tokenizer and ONNX session alone, which see every chat, sorted by length over all of them."""
    hits: TimedRun
    bare_loop: TimedRun
    own_padded: Mapping[str, Any]
    reference: Mapping[str, Any] | None = None
    peers: Mapping[str, TimedRun] = field(default_factory=dict)
    """By the peer's name."""

    @property
    def agreement_ratio(self) -> float:
        """Share of chats on which worker and classifier name the same category: proof of the same work."""
        return _same(self.misses.categories, self.session["categories"])

    @property
    def peer_agreement_ratio(self) -> float:
        """The same for worker and peer, of the peer that differs most; 1 without peers."""
        return min((_same(self.misses.categories, peer.categories) for peer in self.peers.values()), default=1.0)


RATIOS: Final = (
    "cpu_vs_session",
    "worker_vs_session",
    "worker_vs_reference",
    "worker_vs_best_peer",
    "worker_vs_best_single_peer",
    "worker_vs_transformer",
    "worker_vs_own_padded",
    "hits_vs_misses",
    "hits_vs_bare_loop",
)

_Figure = Callable[[Pair], float]


def _worker_cpu_ms(pair: Pair) -> float:
    return 1_000 * pair.misses.cpu_s / pair.misses.n_events


def _session_cpu_ms(pair: Pair) -> float:
    return 1_000 * float(pair.session["cpu_s"]) / int(pair.session["n_texts"])


_FIGURES: Final[dict[str, _Figure]] = {
    "worker_vs_session": lambda pair: pair.misses.per_s / _per_s(pair.session),
    "worker_vs_transformer": lambda pair: pair.misses.per_s / _per_s(pair.transformer),
    "worker_vs_own_padded": lambda pair: pair.misses.per_s / _per_s(pair.own_padded),
    "hits_vs_misses": lambda pair: pair.hits.per_s / pair.misses.per_s,
    "hits_vs_bare_loop": lambda pair: pair.hits.per_s / pair.bare_loop.per_s,
    "worker_chats_per_s": lambda pair: pair.misses.per_s,
    "session_chats_per_s": lambda pair: _per_s(pair.session),
    "transformer_chats_per_s": lambda pair: _per_s(pair.transformer),
    "own_padded_chats_per_s": lambda pair: _per_s(pair.own_padded),
    "hits_per_s": lambda pair: pair.hits.per_s,
    "bare_loop_per_s": lambda pair: pair.bare_loop.per_s,
    "cpu_vs_session": lambda pair: _session_cpu_ms(pair) / _worker_cpu_ms(pair),
    "worker_cpu_ms_per_chat": _worker_cpu_ms,
    "session_cpu_ms_per_chat": _session_cpu_ms,
    "hit_cpu_ms_per_event": lambda pair: 1_000 * pair.hits.cpu_s / pair.hits.n_events,
}
_REFERENCE_FIGURES: Final[dict[str, _Figure]] = {
    "worker_vs_reference": lambda pair: pair.misses.per_s / _per_s(pair.reference or {}),
    "reference_chats_per_s": lambda pair: _per_s(pair.reference or {}),
}


def figures(pairs: Sequence[Pair], batching: Collection[str] = ()) -> dict[str, Any]:
    """Return the medians of the ratios, the spread of every figure that was taken, and what was seen beside them.

    Args:
        pairs: At least one; what one of them holds, all do.
        batching: Names of the peers that classify several chats together.
    """
    taken = dict(_FIGURES)
    if pairs[0].reference is not None:
        taken |= _REFERENCE_FIGURES
    if pairs[0].peers:
        taken["worker_vs_best_peer"] = partial(_over_fastest, among=frozenset(pairs[0].peers))
    if single := pairs[0].peers.keys() - set(batching):
        taken["worker_vs_best_single_peer"] = partial(_over_fastest, among=frozenset(single))
    spreads = {name: spread([figure(pair) for pair in pairs]) for name, figure in taken.items()}
    starts_s = [timed.start_to_ready_s for pair in pairs for timed in (pair.misses, pair.hits)]
    session, transformer = pairs[0].session, pairs[0].transformer
    return {
        **{name: spreads[name]["median"] if name in spreads else None for name in RATIOS},
        "start_to_ready_s": round(median(starts_s), 2),
        "category_agreement_ratio": round(min(pair.agreement_ratio for pair in pairs), 4),
        "peer_agreement_ratio": round(min(pair.peer_agreement_ratio for pair in pairs), 4),
        "mean_tokens": round(transformer["n_tokens"] / transformer["n_texts"], 1),
        "first_stage_ratio": round(session["n_first_stage"] / session["n_texts"], 4),
        "n_pairs": len(pairs),
        "cpu_ms_by_thread": _parts(pairs, lambda timed: timed.cpu_by_thread_s),
        "stage_ms": _parts(pairs, lambda timed: timed.stage_s),
        "spread": spreads,
    }


def peer_figures(pairs: Sequence[Pair]) -> dict[str, dict[str, dict[str, float]]]:
    """Return, by peer, median and range of its rate and of the worker's over it."""
    return {
        name: {
            "chats_per_s": spread([pair.peers[name].per_s for pair in pairs]),
            "worker_ratio": spread([pair.misses.per_s / pair.peers[name].per_s for pair in pairs]),
        }
        for name in pairs[0].peers
    }


def _parts(pairs: Sequence[Pair], of: Callable[[TimedRun], Mapping[str, float]]) -> dict[str, float]:
    """Return the medians over the pairs of what each part took of the worker, milliseconds per chat."""
    return {
        name: round(median(1_000 * of(pair.misses)[name] / pair.misses.n_events for pair in pairs), 3)
        for name in of(pairs[0].misses)
    }


def _over_fastest(pair: Pair, among: frozenset[str]) -> float:
    # The fastest of each pair, whichever it is: never better for the worker than any one of them.
    return pair.misses.per_s / max(pair.peers[name].per_s for name in among)


def _per_s(session: Mapping[str, Any]) -> float:
    return float(session["n_texts"]) / float(session["elapsed_s"])


def _same(found: Sequence[str], expected: Sequence[str]) -> float:
    return sum(a == b for a, b in zip(found, expected, strict=True)) / len(expected)
