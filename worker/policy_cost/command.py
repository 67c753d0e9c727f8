"""`policy-cost`: what 1, 20 and 100 policies cost each verdict on this machine."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from model import DEFAULT_BUNDLE_PATH, load_bundle
from worker.policy_cost.measure import Cost, Kind, measured

NUMBERS: Final = (1, 20, 100)


def policy_cost(
    *,
    bundle: Annotated[Path, typer.Option(help="Bundle folder or registry.")] = DEFAULT_BUNDLE_PATH,
    policies: Annotated[list[int] | None, typer.Option(min=1, help="How many policies; repeat for several.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each.")] = 21,
    verdicts: Annotated[int, typer.Option(min=10, help="Verdicts of one measurement.")] = 500,
) -> None:
    """Time what policies add to each verdict, from its reading to its JSON; inference and services are left out."""
    numbers = sorted({1, *(policies or NUMBERS)})
    costs = measured(load_bundle(bundle), numbers, n_rounds=rounds, n_rows=verdicts)
    Console().print(_table(costs))
    typer.echo(json.dumps({"rounds": rounds, "verdicts": verdicts, "costs": [asdict(cost) for cost in costs]}))


def _table(costs: list[Cost]) -> Table:
    table = Table(title="CPU time of one verdict, and what each policy beyond the first adds")
    table.add_column("verdicts")
    for name in ("policies", "µs a verdict", "µs a policy", "rate of one policy's"):
        table.add_column(name, justify="right")
    for kind in Kind:
        for cost in costs:
            added = "" if cost.n_policies == 1 else f"{cost.policy_us[kind]:.2f}"
            table.add_row(
                kind.value.replace("_", " "),
                str(cost.n_policies),
                f"{cost.verdict_us[kind]:.1f}",
                added,
                f"{cost.share_of_one[kind]:.0%}",
            )
    return table
