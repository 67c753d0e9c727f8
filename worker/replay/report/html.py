"""The account of a replay as one HTML file: the console's tables, without script, links or chat text."""

import html
import io
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from worker.errors import SettingsError
from worker.replay.report.account import Report, print_report

_COLUMNS: Final = 400
"""Wider than any topic name (249 characters) beside its numbers, so that no cell is cut."""


def write_html(report: Report, path: Path) -> None:
    """Write the report.

    Raises:
        SettingsError: the file cannot be written.
    """
    try:
        path.write_text(render_html(report), encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}; expected a file that can be written; check --report") from error


def render_html(report: Report) -> str:
    """Return the report as an HTML document."""
    plan, line = report.state.plan, report.line()
    request = plan.request
    facts = {
        "outcome": "complete" if report.exit_code == 0 else f"exit code {report.exit_code}",
        "records read": f"{line['n_read']:,}",
        "verdicts": f"{line['n_verdicts']:,}",
        "dead letters": f"{line['n_dead_letters']:,}",
        "offsets deleted before they were read": f"{line['n_lost']:,}",
        "topics": ", ".join(request.topics),
        "verdict topic": request.verdict_topic,
        "topic of the changes": request.changes_topic or "none: nothing was compared",
        "model": request.model_digest,
        "policy": f"{request.policy.name} {request.policy.version}",
        "taxonomy": "not named by the plan" if request.taxonomy is None else str(request.taxonomy),
        "range fixed at": plan.planned_at.isoformat(timespec="seconds"),
    }
    table = Table("", "", show_header=False)
    for name, value in facts.items():
        table.add_row(name, escape(value))
    console = Console(record=True, file=io.StringIO(), width=_COLUMNS, highlight=False)
    console.print(table)
    print_report(report, console)
    title = f"<head>\n<title>replay {html.escape(plan.replay_id)}</title>"
    return console.export_html(inline_styles=True).replace("<head>", title, 1)
