"""Results to table rows: (what, value, how it was taken). Pure."""

from typing import Any

Row = tuple[str, str, str]


def load_rows(result: dict[str, Any]) -> list[Row]:
    """Return the rows of `run`."""
    latency = result["latency"]
    rows = [
        ("sent", f"{result['n_sent']:,} at {result['sent_per_s']:,.1f}/s", "open loop"),
        ("answered", f"{result['answered_per_s']:,.1f}/s", "first due to last verdict"),
        *(
            (name, f"{latency[key]:,.1f} ms", "intended time to committed verdict")
            for name, key in (("p50", "p50_ms"), ("p90", "p90_ms"), ("p99", "p99_ms"), ("p99.9", "p99_9_ms"))
        ),
        ("generator late, p99", f"{result['generator_late_p99_ms']:.2f} ms", "its own part of the latency"),
        *_counts(result),
        (
            "worker CPU",
            f"{result['worker_cpu_cores']:.2f} cores, {result['worker_cpu_ms_per_event']:.3f} ms/chat",
            "psutil",
        ),
        ("worker RSS", f"{result['worker_rss_mb']:.0f} MB", "largest seen"),
        ("start to ready", f"{result['start_to_ready_s']:.2f} s", "process start to /readyz"),
    ]
    rows += [
        (f"stage {stage}", f"{us:,.1f} µs/event", "the worker's own clock")
        for stage, us in result["stage_us_per_event"].items()
    ]
    return rows


def lone_rows(result: dict[str, Any]) -> list[Row]:
    """Return the rows of `run --lone`."""
    return [
        ("lone p50", f"{result['lone_p50_ms']:.1f} ms", "send to committed verdict, one event at a time"),
        ("lone p99", f"{result['lone_p99_ms']:.1f} ms", "target < 50 ms"),
        ("lone max", f"{result['lone_max_ms']:.1f} ms", ""),
        *_counts(result),
        ("worker RSS", f"{result['worker_rss_mb']:.0f} MB", "largest seen"),
        ("start to ready", f"{result['start_to_ready_s']:.2f} s", "process start to /readyz"),
    ]


def soak_rows(result: dict[str, Any]) -> list[Row]:
    """Return the rows of `soak`."""
    return [
        (
            "events",
            f"{result['n_sent']:,} in {result['elapsed_s']:,.0f} s, {result['events_per_s']:,.0f}/s",
            "closed loop",
        ),
        *_counts(result),
        ("RSS at the start", f"{result['rss_start_mb']:.1f} MB", "after warm-up"),
        ("RSS after a tenth", f"{result['rss_at_10_percent_mb']:.1f} MB", ""),
        ("RSS at the end", f"{result['rss_end_mb']:.1f} MB", ""),
        ("RSS, largest", f"{result['worker_rss_mb']:.1f} MB", "target < 400 MB"),
        ("slope", f"{result['rss_slope_mb_per_million_events']:+.2f} MB per million events", "from a tenth to the end"),
    ]


def plan_rows(result: dict[str, Any]) -> list[Row]:
    """Return the rows of `plan`."""
    run, alone = result["simulated"], result["simulated_lag_only"]
    caught_up = result["catch_up_s"]
    return [
        ("traffic", f"{result['mean_rate']:,.1f}/s, busiest minute {result['busiest_minute_rate']:,.1f}/s", "mean"),
        ("a pod", f"{result['rate_per_pod']:,.1f} chats/s", "as given; measure it where it will run"),
        (
            "replicas",
            f"{result['min_replicas']} to {result['max_replicas']}",
            f"of {result['n_partitions']} partitions",
        ),
        ("lag threshold", f"{result['lag_threshold']:,} records per pod", "autoscaling.keda.lagThreshold"),
        ("CPU trigger", f"{result['cpu_percent']} %", "autoscaling.keda.cpuUtilizationPercentage"),
        (
            "scale-down window",
            f"{result['scale_down_stabilization_s']} s",
            "autoscaling.scaleDown.stabilizationSeconds",
        ),
        (
            "catch-up",
            "never" if caught_up is None else f"{caught_up:,} s",
            f"after {result['outage_s']:,.0f} s without workers, from the fewest pods",
        ),
        ("wait, longest / p99", f"{run['max_wait_s']:,.0f} s / {run['p99_wait_s']:,.0f} s", "simulated"),
        ("lag, largest", f"{run['max_lag_records']:,} records", "simulated"),
        ("pods, mean / most", f"{run['mean_pods']:,.2f} / {run['max_pods']}", "simulated"),
        (
            "scaled up / down / flaps",
            f"{run['n_scale_ups']} / {run['n_scale_downs']} / {run['n_flaps']}",
            f"simulated; on lag alone {alone['n_scale_ups']} / {alone['n_scale_downs']} / {alone['n_flaps']}",
        ),
        (
            "cost per hour",
            f"{result['cost_per_hour']:,.3f}, at most {result['cost_per_hour_at_max_replicas']:,.3f}",
            "at the price given",
        ),
    ]


def replay_rows(result: dict[str, Any]) -> list[Row]:
    """Return the rows of `replay-demo`."""
    return [
        ("history", f"{result['n_history']:,} events", "judged live before"),
        (
            "replay",
            f"{result['n_read']:,} records in {result['elapsed_s']:,.0f} s, {result['replayed_per_s']:,.0f}/s",
            f"{result['n_processes']} processes, {result['n_killed']} of them killed on the way",
        ),
        ("complete", "yes" if result["complete"] else "NO", f"exit codes {result['exit_codes']}"),
        ("verdicts + dead letters", f"{result['n_verdicts']:,} + {result['n_dead_letters']:,}", "= records read"),
        (
            "seen / duplicated",
            f"{result['n_replayed_seen']:,} / {result['n_duplicated']}",
            "by a read_committed reader",
        ),
        ("cache went back", f"{result['cache_went_back']}", f"{result['cache_looks']} looks at it; expected 0"),
        ("live p50 / p99", f"{result['live_p50_ms']:.1f} / {result['live_p99_ms']:.1f} ms", "undisturbed"),
        (
            "live p50 / p99 beside it",
            f"{result['live_p50_beside_ms']:.1f} / {result['live_p99_beside_ms']:.1f} ms",
            (
                f"{result['live_p99_ratio']:.2f} times (<= 2), medians of {result['n_stretches_beside']} stretches;"
                f" worst p99 {result['live_p99_beside_worst_ms']:.1f} ms"
            ),
        ),
    ]


def _counts(result: dict[str, Any]) -> list[Row]:
    return [
        ("verdicts", f"{result['n_verdicts']:,}, {result['n_hits']:,} of them from the cache", ""),
        ("lost / duplicated", f"{result['n_lost']} / {result['n_duplicated']}", "expected 0 / 0"),
        ("dead letters", f"{result['n_dead_letters']}", "expected 0"),
    ]
