"""Print what corrections did: a table for people."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def print_demo(figures: Mapping[str, Any], console: Console) -> None:
    """Print accuracies before and after with their exact 95 % intervals, and the paired test."""
    table = Table(
        title=f"{figures['n_rows']} rows of {figures['n_reports']} reports; {figures['n_wrong']} of "
        f"{figures['n_reported_on']} verdicts were wrong"
    )
    for name in ("learnt besides", "measured on", "chats", "before", "after", "difference", "mended, broken", "p"):
        table.add_column(name)
    for learnt, measured in (("corrections", "measured"), ("as many at random", "with_chats_drawn_at_random")):
        for row in figures[measured]:
            shown = (_share(row[name]) for name in ("accuracy_before", "accuracy_after", "difference"))
            changed = f"{row['n_mended']}, {row['n_broken']}"
            table.add_row(learnt, row["part"], str(row["n"]), *shown, changed, f"{row['p_value']:.4f}")
    console.print(table)


def _share(interval: Mapping[str, float]) -> str:
    return f"{interval['value']:.3f} ({interval['low']:.3f} to {interval['high']:.3f})"
