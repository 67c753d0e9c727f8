"""The account of a replay as one HTML file: no script, nothing loaded from elsewhere, no chat text."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Final

from worker.errors import SettingsError
from worker.replay.report.account import COLUMNS, COLUMNS_LAST, Report, matrices

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #1b1f24; }
h1, h2 { font-weight: 600; } table { border-collapse: collapse; margin: .5rem 0 2rem; }
th, td { border: 1px solid #d0d7de; padding: .2rem .6rem; text-align: right; font-variant-numeric: tabular-nums; }
th { background: #f6f8fa; } td.zero { color: #c0c6cc; } td.stricter { background: #dafbe1; }
td.looser { background: #ffe2e0; } .bad { color: #b3261e; font-weight: 600; }
"""


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
    verdict = "complete" if report.exit_code == 0 else f'<span class="bad">exit code {report.exit_code}</span>'
    facts = [
        ("outcome", verdict),
        ("records read", f"{line['n_read']:,}"),
        ("verdicts", f"{line['n_verdicts']:,}"),
        ("dead letters", f"{line['n_dead_letters']:,}"),
        ("offsets deleted before they were read", f"{line['n_lost']:,}"),
        ("topics", escape(", ".join(request.topics))),
        ("verdict topic", escape(request.verdict_topic)),
        ("model", escape(request.model_digest)),
        ("policy", escape(f"{request.policy.name} {request.policy.version}")),
        ("range fixed at", plan.planned_at.isoformat(timespec="seconds")),
    ]
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<title>replay {escape(plan.replay_id)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Replay {escape(plan.replay_id)}</h1>",
        _table(("", ""), [[f"<th>{name}</th>", f"<td>{value}</td>"] for name, value in facts]),
        *_changes(report),
        "<h2>Per partition</h2>",
        _table(
            [name.removeprefix("n_").replace("_", " ") for name in (*COLUMNS, *COLUMNS_LAST)],
            [
                [f"<td>{escape(str(report.row(one)[name]))}</td>" for name in (*COLUMNS, *COLUMNS_LAST)]
                for one in plan.ranges
            ],
        ),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _changes(report: Report) -> Iterable[str]:
    changes = report.changes()
    if changes is None:
        return
    yield "<h2>What changed against the old verdicts</h2>"
    yield (
        f"<p>{changes['n_changed']:,} of {changes['n_compared']:,} compared verdicts changed; "
        f"{changes['n_without_old_verdict']:,} had no older verdict. Rows: before; columns: now. Each change is a "
        f"record of <code>{escape(str(report.state.plan.request.changes_topic))}</code>.</p>"
    )
    for title, codes, cells in matrices(report):
        yield f"<h3>{title}</h3>"
        ordered = title.startswith("decisions")
        yield _table(
            ["", *codes],
            [
                [f"<th>{was}</th>", *(_cell(count, i, j, ordered=ordered) for j, count in enumerate(row))]
                for i, (was, row) in enumerate(zip(codes, cells, strict=True))
            ],
        )


def _cell(count: int, was: int, now: int, *, ordered: bool) -> str:
    """Return one cell; decisions stand in the order allow, review, block, so a move to the right is stricter."""
    kind = "zero" if not count else ("stricter" if now > was else "looser") if ordered else ""
    return f"<td class='{kind}'>{count:,}</td>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    titles = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "\n".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    return f"<table><tr>{titles}</tr>\n{body}</table>"
