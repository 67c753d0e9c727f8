"""Results of `soak` to table rows: (what, value, how it was taken). Pure."""

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
