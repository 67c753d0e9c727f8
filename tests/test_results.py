"""docs/results.md and the runs in results/ say the same: a figure without its run cannot be checked."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

_ROOT = Path(__file__).parents[1]
_PAGE = _ROOT / "docs" / "results.md"
_RUNS = sorted((_ROOT / "results").glob("*.json"))


@pytest.mark.parametrize("run", _RUNS, ids=lambda path: path.stem)
def test_a_run_says_where_its_figures_come_from(run: Path) -> None:
    """What was run, when, by which command or method; and the page leads to it."""
    fields = orjson.loads(run.read_bytes())
    assert {"what", "date", "figures"} <= fields.keys()
    assert "command" in fields or "method" in fields
    assert run.stem.startswith(fields["date"])
    assert f"(../results/{run.name})" in _PAGE.read_text("utf-8")


def test_the_trend_shows_the_medians_of_its_runs() -> None:
    """A column in backticks names a figure of the run."""
    _, _, trend = _PAGE.read_text("utf-8").partition("## Trend\n")
    header, _, *rows = [line for line in trend.partition("\n## ")[0].splitlines() if line.startswith("|")]
    columns = [name.strip() for name in header.split("|")]
    assert rows
    for row in rows:
        cells = [cell.strip() for cell in row.split("|")]
        figures = _figures(row)
        for column, cell in zip(columns, cells, strict=True):
            if column.startswith("`") and cell:
                assert float(cell.replace(",", "")) == pytest.approx(figures[column.strip("`")]["median"]), (
                    column,
                    row,
                )


def _figures(row: str) -> dict[str, Any]:
    link = re.search(r"\(\.\./results/([\w.-]+)\)", row)
    assert link is not None, row
    figures: dict[str, Any] = orjson.loads((_ROOT / "results" / link[1]).read_bytes())["figures"]
    return figures
