"""Moves as tables, for people: a row for what was said before, a column for what is said now.

A matrix of 256 categories says nothing to anybody: above `MOST_CODES` the commonest moves are listed instead.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from worker.moves.counts import DECISIONS, Move, Outcomes, commonest

MOST_CODES: Final = 16
"""Categories that fit beside one another on a screen."""


def print_moves(outcomes: Outcomes, console: Console, *, what: str) -> None:
    """Print the moves between decisions and between categories.

    Decisions stand in the order allow, review, block, so a move to the right is stricter.

    Args:
        outcomes: What was counted.
        console: Where to.
        what: What the moves are, for the titles.
    """
    console.print(_matrix(f"decisions {what}", DECISIONS, outcomes.decisions, is_ordered=True))
    codes = tuple(sorted({code for move in outcomes.categories for code in move}))
    title = f"categories {what}"
    if not codes:
        console.print(f"{title}: none", highlight=False, markup=False)
    elif len(codes) <= MOST_CODES:
        console.print(_matrix(title, codes, outcomes.categories))
    else:
        console.print(_list(title, outcomes.categories))
    n_rare = commonest(outcomes.categories)[1] if len(codes) > MOST_CODES else 0
    if n_others := outcomes.n_other_categories + n_rare:
        console.print(f"{n_others:,} other moves between categories, each pair rarer than these", highlight=False)


def _matrix(title: str, names: Sequence[str], moves: Mapping[Move, int], *, is_ordered: bool = False) -> Table:
    table = Table("from \\ to", *map(escape, names), title=title, title_justify="left")
    for i, was in enumerate(names):
        styles = [("green" if j > i else "red") if is_ordered else "" for j in range(len(names))]
        counts = [moves.get((was, now), 0) for now in names]
        pairs = zip(counts, styles, strict=True)
        table.add_row(escape(was), *(Text(shown(count), style) if count else "" for count, style in pairs))
    return table


def _list(title: str, moves: Mapping[Move, int]) -> Table:
    table = Table("from", "to", Column("number", justify="right"), title=title, title_justify="left")
    for (was, now), count in commonest(moves)[0].items():
        table.add_row(escape(was), escape(now), shown(count))
    return table


def shown(value: object) -> str:
    """Return a cell of a table: thousands with commas, `NO` in capitals."""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:,}" if isinstance(value, int) else str(value)
