"""The account of a simulation as one HTML file: the console's tables and a drawn curve, no script, nothing loaded."""

import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from worker.errors import SettingsError
from worker.simulate.text import print_account

_COLUMNS: Final = 220
_COLOURS: Final = {"new": "#0072B2", "against": "#D55E00"}
"""Of Okabe and Ito's palette, which people with any colour vision can tell apart."""
_INK: Final = "#1f2933"
_FAINT: Final = "#e4e7eb"
_WIDTH: Final = 640
_HEIGHT: Final = 340
_LEFT: Final = 56
_BOTTOM: Final = 44
_TOP: Final = 16
_RIGHT: Final = 16
_LEAST_END: Final = 0.2
"""Accepted rates that are drawn at least; nobody accepts that more than every fifth banned chat passes."""
_TIMES_THE_RATE: Final = 2.0
_N_TICKS: Final = 5

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>body {{ margin: 2em; font-family: sans-serif; color: {ink} }} pre {{ font-size: 13px; overflow-x: auto }}</style>
</head>
<body>
<h1>{title}</h1>
<h2>Allowed share by the banned-to-safe rate that is accepted</h2>
{curve}
<h2>Decisions</h2>
{tables}
</body>
</html>
"""
_TABLES: Final = '<pre style="font-family: Menlo, Consolas, monospace">{code}</pre>'


def write_page(document: Mapping[str, Any], path: Path) -> None:
    """Write the page.

    Raises:
        SettingsError: the file cannot be written.
    """
    try:
        path.write_text(page(document), encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}; expected a file that can be written; check --html") from error


def page(document: Mapping[str, Any]) -> str:
    """Return the account of a simulation as an HTML document; see `model.policies.simulated.Account.document`."""
    console = Console(record=True, file=io.StringIO(), width=_COLUMNS, highlight=False)
    print_account(document, console)
    tables = console.export_html(inline_styles=True, code_format=_TABLES)
    return _PAGE.format(
        title=html.escape(f"policy {document['new']['name']} {document['new']['version']}, simulated"),
        ink=_INK,
        curve=_drawing(document),
        tables=tables,
    )


def _drawing(document: Mapping[str, Any]) -> str:
    """Return the curves as SVG."""
    curves = {side: points for side, points in document["curves"].items() if points}
    rates = {side: document[side]["max_banned_to_safe_rate"] for side in curves}
    end = min(1.0, max(_LEAST_END, *(_TIMES_THE_RATE * rate for rate in rates.values()), 0.0))
    parts = [*_axes(end)]
    for place, (side, points) in enumerate(curves.items()):
        parts += _curve(points, end, colour=_COLOURS[side])
        parts += _own_rate(document, side, end, place=place)
    if not curves:
        parts.append(_text(_LEFT + 20, _HEIGHT / 2, "no accepted rate would allow any of these verdicts"))
    label = "allowed share of the verdicts against the accepted banned-to-safe rate"
    body = "\n".join(parts)
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" aria-label="{label}">\n{body}\n</svg>'


def _x(rate: float, end: float) -> float:
    return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * min(rate, end) / end, 1)


def _y(share: float) -> float:
    return round(_HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share, 1)


def _axes(end: float) -> list[str]:
    parts = []
    for i in range(_N_TICKS + 1):
        rate, share = end * i / _N_TICKS, i / _N_TICKS
        parts += [
            _line((_x(rate, end), _y(0)), (_x(rate, end), _y(1)), _FAINT),
            _line((_x(0, end), _y(share)), (_x(end, end), _y(share)), _FAINT),
            _text(_x(rate, end), _y(0) + 16, f"{rate:.0%}", anchor="middle"),
            _text(_LEFT - 6, _y(share) + 4, f"{share:.0%}", anchor="end"),
        ]
    return [*parts, _text((_LEFT + _WIDTH) / 2, _HEIGHT - 8, "accepted banned-to-safe rate", anchor="middle")]


def _curve(points: Sequence[Sequence[float]], end: float, *, colour: str) -> list[str]:
    """Return a step curve."""
    reached, steps = 0.0, [f"{_x(0, end)},{_y(0)}"]
    for at, share in points:
        if at <= end:
            steps += [f"{_x(at, end)},{_y(reached)}", f"{_x(at, end)},{_y(share)}"]
            reached = share
    steps.append(f"{_x(end, end)},{_y(reached)}")
    return [f'<polyline points="{" ".join(steps)}" fill="none" stroke="{colour}" stroke-width="1.8"/>']


def _own_rate(document: Mapping[str, Any], side: str, end: float, *, place: int) -> list[str]:
    """Return what a policy allows at its own rate, named in the corner, the `place`-th from below."""
    policy, colour = document[side], _COLOURS[side]
    decided = document["decisions"]["new" if side == "new" else "old"]
    rate, allowed = policy["max_banned_to_safe_rate"], decided["allow"] / document["n_compared"]
    name = f"{policy['name']} {policy['version']}: {allowed:.1%} allowed at {rate:.1%}"
    return [
        _line((_x(rate, end), _y(0)), (_x(rate, end), _y(1)), colour, dashes="3 3"),
        f'<circle cx="{_x(rate, end)}" cy="{_y(allowed)}" r="4" fill="{colour}"/>',
        _text(_WIDTH - _RIGHT - 8, _y(0) - 12 - 18 * place, name, anchor="end", colour=colour),
    ]


def _line(start: tuple[float, float], end: tuple[float, float], colour: str, *, dashes: str = "none") -> str:
    return (
        f'<line x1="{start[0]}" y1="{start[1]}" x2="{end[0]}" y2="{end[1]}" stroke="{colour}" '
        f'stroke-dasharray="{dashes}"/>'
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = _INK) -> str:
    return f'<text x="{x}" y="{y}" font-size="12" text-anchor="{anchor}" fill="{colour}">{html.escape(text)}</text>'
