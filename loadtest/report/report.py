"""Print results: tables for people, one JSON line, last, for machines."""

import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.table import Table


def print_table(title: str, rows: Sequence[tuple[str, str, str]]) -> None:
    """Print (what, value, how it was taken) rows."""
    table = Table("what", "value", "note", title=title, title_justify="left", title_style="bold")
    for row in rows:
        table.add_row(*row)
    # Wide enough for a row where the output is a file, as wide as the terminal elsewhere.
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def print_wide_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows with one column each for a name and its numbers."""
    table = Table(*columns, title=title, title_justify="left", title_style="bold")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def print_json_line(result: Mapping[str, Any]) -> None:
    """Print the machine-readable result; nothing may follow it."""
    typer.echo(orjson.dumps(result).decode())


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, smallest and largest of repeated measurements."""
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


def machine() -> dict[str, Any]:
    """Return what a reader must know of the machine, its load before the measurement included."""
    return {
        "cpu": _cpu_name(),
        "n_cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_average_1_min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123  not a file of ours
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
