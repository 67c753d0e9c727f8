"""Moves as matrices, for people: a row for what was said before, a column for what is said now."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas import CODES
from worker.moves.counts import DECISIONS, Outcomes

Matrix = tuple[str, tuple[str, ...], list[list[int]]]
"""A title, the names of rows and columns, and the counts; [from][to]."""


def move_matrices(outcomes: Outcomes) -> list[Matrix]:
    """Return the moves, entitled `decisions` and `categories`."""
    decisions = [[outcomes.decisions.get(was[0] + now[0], 0) for now in DECISIONS] for was in DECISIONS]
    categories = [[outcomes.categories.get(was + now, 0) for now in CODES] for was in CODES]
    return [("decisions", DECISIONS, decisions), ("categories", CODES, categories)]


def print_matrices(found: Iterable[Matrix], console: Console) -> None:
    """Print matrices; decisions stand in the order allow, review, block, so a move to the right is stricter."""
    for title, names, cells in found:
        table = Table("from \\ to", *names, title=title, title_justify="left")
        for i, (was, row) in enumerate(zip(names, cells, strict=True)):
            styles = [("green" if j > i else "red") if names == DECISIONS else "" for j in range(len(row))]
            pairs = zip(row, styles, strict=True)
            table.add_row(was, *(Text(shown(count), style) if count else "" for count, style in pairs))
        console.print(table)


def shown(value: object) -> str:
    """Return a cell of a table: thousands with commas, `NO` in capitals."""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:,}" if isinstance(value, int) else str(value)
