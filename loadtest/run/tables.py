"""Results of `run` to table rows: (what, value, how it was taken). Pure."""

from typing import Any

from loadtest.report.tables import Row, count_rows
from loadtest.run.worker_metrics import REST, STAGES


def load_rows(result: dict[str, Any]) -> list[Row]:
    """Return the rows of `run`."""
    latency, peak = result["latency"], max(result["timeline"]["unanswered"])
    return [
        ("sent", f"{result['n_sent']:,} at {result['sent_per_s']:,.1f}/s", "open loop"),
        ("answered", f"{result['answered_per_s']:,.1f}/s", "first due to last verdict"),
        *(
            (name, f"{latency[key]:,.1f} ms", "intended time to committed verdict")
            for name, key in (("p50", "p50_ms"), ("p90", "p90_ms"), ("p99", "p99_ms"), ("p99.9", "p99_9_ms"))
        ),
        *burst_rows(result),
        ("generator late, p99", f"{result['generator_late_p99_ms']:.2f} ms", "its own part of the latency"),
        ("lag, largest", f"{peak:,.0f} chats", "sent and not answered, at the end of a second"),
        *count_rows(result),
        ("cache hits", f"{result['hit_ratio']:.1%}", "of the answers"),
        ("padding", f"{result['padding_ratio']:.1%}", "of the tokens computed"),
        (
            "worker CPU",
            f"{result['worker_cpu_cores']:.2f} cores, {result['worker_cpu_ms_per_event']:.3f} ms/chat",
            "psutil",
        ),
        ("worker RSS", f"{result['worker_rss_mb']:.0f} MB", "largest seen"),
        ("start to ready", f"{result['start_to_ready_s']:.2f} s", "process start to /readyz"),
        *stage_rows(result),
    ]


def burst_rows(result: dict[str, Any]) -> list[Row]:
    """Return how the burst went; nothing where there was none."""
    if "burst" not in result:
        return []
    burst = result["burst"]
    p99, recovery = burst["burst_p99_ms"], burst["recovery_s"]
    start, end = burst["burst_s"]
    return [
        ("p99 in the burst", "some were lost" if p99 is None else f"{p99:,.0f} ms", f"from {start:g} s to {end:g} s"),
        (
            f"p99 back under {burst['limit_ms']:g} ms",
            "not before the load ended" if recovery is None else f"{recovery:.0f} s after the burst",
            f"three stretches of 1 s in a row; {burst['n_stretches_over_later']} over it after them; target ≤ 10 s",
        ),
    ]


def stage_rows(result: dict[str, Any]) -> list[Row]:
    """Return where the time of the average chat went, and what each stage cost."""
    spent, cost = result["stage_latency_ms"], result["stage_us_per_event"]
    rows = []
    for stage in (*STAGES, REST):
        paid = f"takes the worker {cost[stage]:,.1f} µs/chat" if stage in cost else _NOTES[stage]
        rows.append((f"in {stage}", f"{spent[stage]:,.2f} ms", paid))
    return rows


_NOTES = {
    "wait": "append to batch, wall clocks",
    REST: "to the broker, back to the reader, building verdicts",
}
