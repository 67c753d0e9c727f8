"""The account of a simulation as tables, for people."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from worker.moves.counts import DECISIONS
from worker.process.printable import cell


def print_account(document: Mapping[str, Any], console: Console) -> None:
    """Print the account of a simulation; see `model.policies.simulated.Account.document`."""
    new, against = document["new"], document["against"]
    old = "what the verdicts say" if against is None else f"policy {against['name']} {against['version']}"
    console.print(f"policy {new['name']} {new['version']} against {old}", markup=False, style="bold")
    console.print(
        f"{document['n_changed']:,} of {document['n_compared']:,} verdicts would have another decision"
        f" ({_percent(document['changed_share'])})"
    )
    for reason, n in document["n_set_aside"].items():
        console.print(f"{n:,} set aside: {reason.replace('_', ' ')}", markup=False)
    console.print(_decisions(document["decisions"]))
    console.print(_changes(document))


def _decisions(decided: Mapping[str, Mapping[str, int]]) -> Table:
    table = Table("decisions", *(Column(name, justify="right") for name in DECISIONS))
    for side in ("old", "new"):
        table.add_row(side, *(f"{decided[side][name]:,}" for name in DECISIONS))
    return table


def _changes(document: Mapping[str, Any]) -> Table:
    table = Table(
        "from",
        "to",
        Column("verdicts", justify="right"),
        Column("share", justify="right"),
        Column("old risk: mean, largest", justify="right"),
        Column("new risk: mean, largest", justify="right"),
        "some chats",
    )
    for change in document["changes"]:
        table.add_row(
            change["old"],
            change["new"],
            f"{change['n']:,}",
            _percent(change["share"]),
            *(_risk(change[side]) for side in ("old_risk", "new_risk")),
            cell(" ".join(change["chat_ids"])),
            style=None if change["old"] != change["new"] else "dim",
        )
    return table


def _risk(risk: Mapping[str, float] | None) -> str:
    return "unknown" if risk is None else f"{risk['mean']:.4f}, {risk['largest']:.4f}"


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{share:.2%}"
