"""The tables of `compare`. Pure."""

from typing import Any, Final

from loadtest.compare.targets import TARGETS
from loadtest.report.tables import Row
from loadtest.run.thread_cpu import CLIENT, MAIN, OTHER

_SHOWN_WHOLE: Final = 1_000
_THREADS: Final = {
    MAIN: "decoding, cache, verdicts, order",
    CLIENT: "connections, checksums, compression",
    OTHER: "tokenising, inference, commits",
}


def target_rows(result: dict[str, Any]) -> list[Row]:
    """Return one row per target: measured, range over the pairs, met or missed."""
    rows = []
    for target in TARGETS:
        if (value := result[target.name]) is None:
            rows.append((target.name, "not measured", f"target {target.words}; left out on request"))
            continue
        ranges = result["spread"].get(target.name)
        shown = _number(value) if ranges is None else _range(ranges)
        verdict = "met" if target.is_met(value) else "MISSED"
        rows.append((target.name, shown, f"{verdict}, target {target.words}; {target.what}"))
    return [*rows, *_quality_rows(result)]


def rate_rows(result: dict[str, Any]) -> list[Row]:
    """Return the rates behind the ratios, and what was seen beside them."""
    notes = {
        "worker_chats_per_s": "worker, cache off",
        "session_chats_per_s": "the same classifier called in process",
        "transformer_chats_per_s": "tokenizer and session alone, no first stage, sorted by length",
        "own_padded_chats_per_s": "the bundle padded to its longest, one at a time",
        "reference_chats_per_s": "DistilBERT-base INT8 padded to 512, one at a time",
        "hits_per_s": "worker, all cached",
        "bare_loop_per_s": "poll, MGET, produce, commit",
        "worker_cpu_ms_per_chat": "less moved by other load",
        "session_cpu_ms_per_chat": "less moved by other load",
        "hit_cpu_ms_per_event": "less moved by other load",
    }
    spreads = result["spread"]
    return [
        *((name, _range(spreads[name]), note) for name, note in notes.items() if name in spreads),
        ("first stage", f"{result['first_stage_ratio']:.1%}", "of the chats it answers"),
        ("worker_vs_transformer", _range(spreads["worker_vs_transformer"]), "what the first stage brings"),
        ("worker_vs_own_padded", _range(spreads["worker_vs_own_padded"]), "what sorting and packing alone bring"),
        ("pairs", f"{result['n_pairs']}", "interleaved; median (range)"),
        ("same category", f"{result['category_agreement_ratio']:.2%}", "worker against the classifier in process"),
        (
            "chats",
            f"{result['n_judged_chats']:,} of {result['mean_tokens']:.0f} tokens on average",
            f"{result['n_chats']:,} when cached",
        ),
        ("half load", f"{result['half_load_rate_per_s']:,.1f}/s", f"sent for {result['half_load_s']:,.0f} s"),
    ]


def cost_rows(result: dict[str, Any]) -> list[Row]:
    """Return what a chat costs the worker, by thread in CPU time and by stage in time on the clock."""
    cpu = [
        (f"CPU, {kind}", f"{value:.3f} ms/chat", _THREADS.get(kind, ""))
        for kind, value in result["cpu_ms_by_thread"].items()
    ]
    session = result["spread"]["session_cpu_ms_per_chat"]
    stages = [
        (f"in {stage}", f"{value:.3f} ms/chat", "on the clock, all lanes together")
        for stage, value in result["stage_ms"].items()
    ]
    return [
        *cpu,
        ("CPU, the same classifier in process", f"{_range(session)} ms/chat", "what is left is the worker's"),
        *stages,
    ]


def peer_rows(result: dict[str, Any]) -> list[Row]:
    """Return one row per peer: its rate, the worker's over it, what it guarantees."""
    rows = [
        (
            name,
            f"{_range(peer['chats_per_s'])} chats/s",
            f"worker {_range(peer['worker_ratio'])} times; {peer['guarantee']}; {peer['version']}",
        )
        for name, peer in result["peers"].items()
    ]
    single = result["spread"]["worker_vs_best_single_peer"]
    rows.append(("worker_vs_best_single_peer", _range(single), "over the fastest that takes one record at a time"))
    rows.append(("worker", "1", "exactly once, dead letters, cache of verdicts; no peer has the last two"))
    return [
        *rows,
        ("same category", f"{result['peer_agreement_ratio']:.2%}", "worker against the peer that differs most"),
    ]


def _quality_rows(result: dict[str, Any]) -> list[Row]:
    source = f"{result['dev_source']}; {result['dev_n_chats']} chats, {str(result['dev_digest'])[:19]}"
    return [
        (name, "unknown" if result[name] is None else f"{result[name]:.2%}", f"{note}{source}")
        for name, note in (("dev_accuracy", ""), ("dev_banned_to_safe", "at safe->banned 2.9 %; "))
    ]


def _range(one: dict[str, float]) -> str:
    return f"{_number(one['median'])} ({_number(one['min'])} to {_number(one['max'])})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= _SHOWN_WHOLE else f"{value:.3g}"
