"""Print what corrections did: a table for people."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def print_demo(figures: Mapping[str, Any], console: Console) -> None:
    """Print accuracies before and after with their exact 95 % intervals, and the paired test."""
    for name, counts in figures["reported"].items():
        console.print(
            f"{name}: {counts['n_wrong']} of {counts['n_verdicts']} verdicts are wrong; {counts['n_reports']} reports, "
            f"{counts['n_rows']} rows",
            highlight=False,
        )
    table = Table(title="accuracy, with exact 95 % intervals")
    for name in ("learnt besides", "measured on", "chats", "before", "after", "difference", "mended, broken", "p"):
        table.add_column(name)
    for learnt, title in (("corrections", "corrections"), ("as_many_at_random", "as many at random")):
        for row in figures[learnt]:
            shown = (_share(row[name]) for name in ("accuracy_before", "accuracy_after", "difference"))
            changed = f"{row['n_mended']}, {row['n_broken']}"
            table.add_row(title, row["measured_on"], str(row["n"]), *shown, changed, f"{row['p_value']:.4f}")
    console.print(table)


def _share(interval: Mapping[str, float]) -> str:
    return f"{interval['value']:.3f} ({interval['low']:.3f} to {interval['high']:.3f})"
