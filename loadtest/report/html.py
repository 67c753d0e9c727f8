"""The reports as one HTML file each: styles and plots inside, no script, nothing loaded from anywhere.

The page forbids itself to load anything (Content-Security-Policy), and every text is escaped by the template engine.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from loadtest.errors import LoadTestError
from loadtest.report import plots
from loadtest.report.tables import Row
from loadtest.run.tables import load_rows
from loadtest.soak.tables import soak_rows
from loadtest.sweep.tables import Rows, setting_name, sizing_table


class Plot(NamedTuple):
    """One plot with its words."""

    title: str
    note: str
    svg: Markup


def run_page(result: Mapping[str, Any]) -> str:
    """Return the report of `run`."""
    line, burst = result["timeline"], result.get("burst")
    span = None if burst is None else (burst["burst_s"][0], burst["burst_s"][1])
    drawn = [
        Plot("Rate", "Sent as scheduled, whatever the workers did, and answered.", plots.rates(line, span)),
        Plot(
            "Latency over time",
            "By the second in which a chat was meant to be sent.",
            plots.latency_over_time(line, span, None if burst is None else burst["limit_ms"]),
        ),
        Plot("Latency by percentile", "HDR histogram, whole run.", plots.percentiles(result["latency_curve_ms"])),
        Plot("Lag", "Chats sent and not answered.", plots.line_over_time(line, "unanswered", "chats waiting", span)),
        Plot(
            "Where the time goes",
            "The average chat's latency, by the workers' clocks.",
            plots.stages(result["stage_latency_ms"]),
        ),
        Plot("Memory", "The largest worker.", plots.line_over_time(line, "rss_mb", "RSS, MB", span)),
        Plot("CPU", "All workers.", plots.line_over_time(line, "cpu_cores", "cores", span)),
    ]
    return _page("run", f"Load test: {result['schedule']}", result["machine"], drawn, rows=load_rows(dict(result)))


def soak_page(result: Mapping[str, Any]) -> str:
    """Return the report of `soak`."""
    curve = result["curve"]
    minutes = [at_s / 60 for at_s in curve["at_s"]]
    drawn = [
        Plot(
            "Memory",
            f"Slope {result['rss_slope_mb_per_hour']:+.2f} MB an hour from a tenth of the run to its end.",
            plots.memory(minutes, curve["rss_mb"], 400.0),
        )
    ]
    return _page("soak", "Soak", result["machine"], drawn, rows=soak_rows(dict(result)))


def sweep_page(result: Mapping[str, Any]) -> str:
    """Return the report of `sweep`."""
    searches = {
        setting_name(one["setting"]): [(trial["rate_per_s"], trial["p99_ms"]) for trial in one["trials"]]
        for one in result["settings"]
    }
    note = "Every trial; the dotted line is the target. A trial beyond hope is ended early."
    drawn = [Plot("p99 against rate", note, plots.trials(searches, result["p99_target_ms"]))]
    return _page("sweep", "Sizing", result["machine"], drawn, wide=sizing_table(dict(result)))


def write_page(path: Path, page: str) -> None:
    """Write a report.

    Raises:
        LoadTestError: the file cannot be written.
    """
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise LoadTestError(f"{path}: {error.strerror}; expected a path that can be written; see --html") from error


def _page(
    command: str,
    title: str,
    machine: Mapping[str, Any],
    drawn: Sequence[Plot],
    *,
    rows: Sequence[Row] = (),
    wide: Rows | None = None,
) -> str:
    environment = Environment(
        loader=PackageLoader("loadtest"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        command=command, title=title, machine=machine, rows=rows, plots=drawn, wide=wide
    )
