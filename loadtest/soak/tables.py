"""Results of `soak` to table rows: (what, value, how it was taken). Pure."""

from collections import Counter
from typing import Any

from loadtest.report.tables import Row, count_rows


def soak_rows(result: dict[str, Any]) -> list[Row]:
    """Return the rows of `soak`."""
    return [
        (
            "events",
            f"{result['n_sent']:,} in {result['elapsed_s']:,.0f} s, {result['events_per_s']:,.0f}/s",
            "closed loop",
        ),
        *count_rows(result),
        ("cache hits", f"{result['hit_ratio']:.1%}", f"{result['new_ratio']:.0%} of the events are new chats"),
        ("RSS at the start", f"{result['rss_start_mb']:.1f} MB", "after warm-up"),
        ("RSS after a tenth", f"{result['rss_at_10_percent_mb']:.1f} MB", ""),
        ("RSS at the end", f"{result['rss_end_mb']:.1f} MB", ""),
        ("RSS, largest", f"{result['worker_rss_mb']:.1f} MB", "target < 400 MB"),
        ("slope", f"{result['rss_slope_mb_per_million_events']:+.2f} MB per million events", "from a tenth to the end"),
        ("slope over time", f"{result['rss_slope_mb_per_hour']:+.2f} MB per hour", "the same"),
    ]


def fault_soak_rows(result: dict[str, Any]) -> list[Row]:
    """Return the rows of `soak --faults`."""
    kinds = Counter(what.partition(" (")[0] for _, _, what in result["faults"])
    ended = result["ended_by_themselves"]
    slope = f"{result['rss_slope_mb_per_hour']:+.1f} MB/h"
    return [
        ("events", f"{result['n_sent']:,} in {result['duration_s']:,.0f} s", f"seed {result['seed']}"),
        ("faults", f"{result['n_faults']}", ", ".join(f"{n} x {kind}" for kind, n in sorted(kinds.items()))),
        ("I1: lost", f"{result['n_lost']}", "must be 0"),
        ("I2: duplicated", f"{result['n_duplicated']}", "must be 0"),
        ("I3: out of order", f"{result['n_out_of_order']}", "must be 0"),
        ("I1 to I4", result["broken"] or "hold", "a reader that ran beside, and one that came last"),
        ("I5: keys that went back", f"{result['n_went_back']}", f"in {result['n_redis_looks']:,} looks; must be 0"),
        ("stale keys at the end", f"{result['n_stale']}", "must be 0"),
        ("I6: rejections", f"{result['n_rejected']}", ", ".join(f"{n} {r}" for r, n in result["rejections"].items())),
        ("batches", f"{result['n_batches']:,}, {result['n_aborted']:,} aborted", ""),
        ("workers that ended by themselves", f"{len(ended)}", "; ".join(ended)[:300] or "must be 0"),
        ("stops that were cut", f"{result['n_cut']}", "told to stop while a broker was away"),
        (
            "RSS of the survivor",
            f"{result['rss_start_mb']:.0f} to {result['rss_end_mb']:.0f} MB, {slope}",
            f"largest {result['rss_peak_mb']:.0f} MB; from a tenth of the run on",
        ),
        ("file descriptors", "{}, {}, {}".format(*result["n_fds"]), "after a tenth, most, at the end"),
        ("threads", "{}, {}, {}".format(*result["n_threads"]), "the same"),
    ]
