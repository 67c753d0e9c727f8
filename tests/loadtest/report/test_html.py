from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.errors import LoadTestError
from loadtest.report.html import run_page, soak_page, sweep_page, write_page
from loadtest.run.latency import LatencyHistogram
from loadtest.run.schedule import Schedule
from loadtest.run.timeline import WorkerSeries, recovery, timeline
from loadtest.run.worker_metrics import STAGES

MACHINE = {"cpu": "a <b>fast</b> CPU", "n_cpus": 2, "load_average_1_min": 0.1, "python": "3.11"}
COUNTS = {"n_sent": 9, "n_verdicts": 9, "n_dead_letters": 0, "n_lost": 0, "n_duplicated": 0, "n_hits": 1}


class Page(HTMLParser):
    """Notes every element and every attribute that could load or run something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.loads: list[str] = []
        self.n_plots = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one element."""
        self.tags.add(tag)
        self.n_plots += tag == "figure"
        self.loads += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "data", "action"}]
        self.loads += [name for name, _ in attrs if name.startswith("on")]


def _run(*, burst: bool) -> dict[str, Any]:
    schedule = (
        Schedule.burst(rate_per_s=10, factor=4, at_s=2, burst_s=2, duration_s=8)
        if burst
        else Schedule.constant(rate_per_s=10, duration_s=3)
    )
    due = np.array(schedule.due_s)
    latency = LatencyHistogram()
    for one in due:
        latency.record(0.01 + 0.001 * one)
    at_s = np.arange(5.0)
    result = {
        "schedule": schedule.kind,
        **COUNTS,
        "sent_per_s": 10.0,
        "answered_per_s": 10.0,
        "latency": latency.summary_ms(),
        "latency_curve_ms": latency.curve_ms(),
        "generator_late_p99_ms": 0.1,
        "worker_cpu_cores": 0.5,
        "worker_cpu_ms_per_event": 5.0,
        "worker_rss_mb": 200.0,
        "hit_ratio": 0.1,
        "padding_ratio": 0.05,
        "stage_us_per_event": {stage: 10.0 for stage in STAGES if stage != "wait"},
        "stage_latency_ms": {**dict.fromkeys(STAGES, 1.0), "rest": 2.0},
        "timeline": timeline(due, due + 0.02, [WorkerSeries(at_s, 200 + at_s, at_s / 2)]),
        "start_to_ready_s": 1.0,
        "machine": MACHINE,
    }
    if burst:
        result["burst"] = recovery(due, due + 0.02, burst_s=(2, 4), limit_ms=100)
    return result


def _sweep() -> dict[str, Any]:
    setting = {"n_workers": 1, "n_threads": 2, "batch_records": None, "padded_tokens": 256, "thin_s": None}
    trials = [
        {"rate_per_s": 20.0, "p99_ms": 40.0, "verdict": "held"},
        {"rate_per_s": 40.0, "p99_ms": 400.0, "verdict": "latency"},
    ]
    sizing = {
        "chats_per_s_per_vcpu": 10.0,
        "cost_per_million": 1.1,
        "replicas": 4,
        "n_partitions": 8,
        "cost_per_hour": 0.3,
    }
    held = {"rate_per_s": 20.0, "p99_ms": 40.0, "worker_cpu_cores": 1.0, "worker_rss_mb": 200.0, "sizing": sizing}
    return {
        "p99_target_ms": 100.0,
        "settings": [
            {"setting": setting, "limit": "latency", "trials": trials, **held},
            {"setting": setting | {"n_threads": 1}, "limit": "latency", "trials": trials[1:], "rate_per_s": None},
        ],
        "machine": MACHINE,
    }


def _soak() -> dict[str, Any]:
    curve = {"at_s": [0.0, 60.0, 120.0], "n_answered": [0, 5, 9], "rss_mb": [200.0, 210.0, 211.0]}
    slopes = {"rss_slope_mb_per_million_events": 0.1, "rss_slope_mb_per_hour": 0.2}
    memory = {"rss_start_mb": 200.0, "rss_at_10_percent_mb": 205.0, "rss_end_mb": 211.0, "worker_rss_mb": 211.0}
    rate = {"events_per_s": 4.5, "elapsed_s": 120.0, "hit_ratio": 0.8, "new_ratio": 0.2}
    return {**COUNTS, **slopes, **memory, **rate, "curve": curve, "machine": MACHINE}


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """One report of each kind."""
    return {
        "burst": run_page(_run(burst=True)),
        "constant": run_page(_run(burst=False)),
        "sweep": sweep_page(_sweep()),
        "soak": soak_page(_soak()),
    }


@pytest.mark.parametrize(("kind", "n_plots"), [("burst", 7), ("constant", 7), ("sweep", 1), ("soak", 1)])
def test_a_report_loads_nothing_runs_nothing_and_escapes_what_it_is_told(
    pages: dict[str, str], kind: str, n_plots: int
) -> None:
    """It is mailed around and opened years later."""
    page = pages[kind]
    found = Page(page)
    assert found.n_plots == n_plots
    assert not found.tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    assert all(one.startswith("#") for one in found.loads)
    assert page.count("url(") == page.count("url(#")
    assert "@import" not in page
    assert "default-src 'none'" in page
    assert "<b>fast</b>" not in page


def test_a_report_of_a_burst_says_when_it_was_over(pages: dict[str, str]) -> None:
    """The figure that a burst is run for."""
    assert "p99 back under 100 ms" in pages["burst"]
    assert "0 s after the burst" in pages["burst"]
    assert "after the burst" not in pages["constant"]


def test_a_setting_under_which_no_rate_holds_says_so(pages: dict[str, str]) -> None:
    """Left out it would look as if it had not been tried."""
    assert "none holds" in pages["sweep"]


def test_equal_results_give_equal_pages(pages: dict[str, str]) -> None:
    """A report can be compared and kept under version control."""
    assert sweep_page(_sweep()) == pages["sweep"]


def test_a_report_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    """The measurement took minutes; table and JSON line stand by then."""
    with pytest.raises(LoadTestError, match="--html"):
        write_page(tmp_path / "none" / "report.html", "page")
