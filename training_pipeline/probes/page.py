"""The report of the probes for people: tables on the terminal, and one HTML file."""

from typing import Any, Final

from rich.console import Console
from rich.table import Table as RichTable

from training_pipeline.probes.document import IdentityGap, ProbeReport, Row, Table
from training_pipeline.probes.summary import summary
from training_pipeline.report import html, tables

FAMILY_TITLES: Final = {
    "look_alike": "Look-alikes: safe texts that sound harmful",
    "banned": "Plainly banned requests",
    "language": "Other languages",
    "multi_turn": "Going on after a request",
    "hand": "Cases by hand",
    "position": "A request inside a long message",
    "mixture": "Safe text beside a request",
    "evasion": "Disguised requests",
}

_TERMINAL_AXES: Final = {"all", "position", "characters", "addition and place", "disguise", "language",
                         "turns after the request", "case"}  # fmt: skip
_GAP_ROWS: Final = 5


def print_probes(document: ProbeReport, console: Console) -> None:
    """Print the main figures and the tables that fit on a screen each; all of them are in the JSON and the HTML."""
    tables.print_probe_summaries([summary(document)], console)
    for table in document.tables:
        if table.axis in _TERMINAL_AXES:
            console.print(_rich_table(table))
    for gap in document.gaps:
        console.print(_rich_gap(gap))
    console.print(f"{document.n_cases} cases in {document.seconds} s, {document.identity.name}", highlight=False)


def probes_page(document: ProbeReport) -> str:
    """Return the whole report as one HTML file."""
    return html.page("probes.html.j2", document.policy["banned"], document=document, **sections(document))


def sections(document: ProbeReport) -> dict[str, Any]:
    """Return what the template of the probes' sections needs besides the document."""
    families: dict[str, list[Table]] = {}
    for table in document.tables:
        families.setdefault(table.family, []).append(table)
    return {"families": families, "probe_titles": FAMILY_TITLES, "summaries": [summary(document)]}


def _rich_table(table: Table) -> RichTable:
    found = RichTable(table.axis, "chats", title=FAMILY_TITLES[table.family])
    for name in ("not allowed", "95 %", "blocked", "95 %"):
        found.add_column(name, justify="right")
    for row in table.rows:
        found.add_row(row.name, row.group, *_cells(row))
    return found


def _cells(row: Row) -> tuple[str, str, str, str]:
    pairs = ((row.not_allowed, row.not_allowed_rate), (row.blocked, row.blocked_rate))
    (lost, lost_at), (blocked, blocked_at) = ((tables.n_of(count), tables.spread(rate)) for count, rate in pairs)
    return lost, lost_at, blocked, blocked_at


def _rich_gap(gap: IdentityGap) -> RichTable:
    title = f"Identities, {gap.where}: {gap.n_bases} texts, largest gap {tables.points(gap.largest_gap)} points"
    found = RichTable("words", title=title)
    for name in ("allowed", "95 %", "gap in points"):
        found.add_column(name, justify="right")
    for name, count in (("all identities", gap.identities), ("all neutral words", gap.neutral)):
        found.add_row(name, tables.n_of(count), tables.exact(count), tables.points(gap.neutral.rate - count.rate))
    for row in sorted(gap.rows, key=lambda row: -abs(row.gap))[:_GAP_ROWS]:
        found.add_row(
            f"{row.words} ({row.side})",
            tables.n_of(row.allowed),
            tables.spread(row.allowed_rate),
            tables.points(row.gap),
        )
    return found
