"""Results to table rows: (what, value, how it was taken). Pure."""

from typing import Any

Row = tuple[str, str, str]


def lone_rows(result: dict[str, Any]) -> list[Row]:
    """Return the rows of `run --lone`."""
    return [
        ("lone p50", f"{result['lone_p50_ms']:.1f} ms", "send to committed verdict, one event at a time"),
        ("lone p99", f"{result['lone_p99_ms']:.1f} ms", "target < 50 ms"),
        ("lone max", f"{result['lone_max_ms']:.1f} ms", ""),
        *count_rows(result),
        ("worker RSS", f"{result['worker_rss_mb']:.0f} MB", "largest seen"),
        ("start to ready", f"{result['start_to_ready_s']:.2f} s", "process start to /readyz"),
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


def count_rows(result: dict[str, Any]) -> list[Row]:
    """Return what became of the events."""
    return [
        ("verdicts", f"{result['n_verdicts']:,}, {result['n_hits']:,} of them from the cache", ""),
        ("lost / duplicated", f"{result['n_lost']} / {result['n_duplicated']}", "expected 0 / 0"),
        ("dead letters", f"{result['n_dead_letters']}", "expected 0"),
    ]
