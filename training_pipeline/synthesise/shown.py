"""Print what a run would cost, and what it came to: tables for people on stderr, one JSON line on stdout."""

from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from training_pipeline.data.show import print_json
from training_pipeline.synthesise.estimate import Estimate, Share
from training_pipeline.synthesise.synthesise import STAGE, Outcome


def print_estimate(found: Estimate, console: Console) -> None:
    """Print the requests and the cost of a run that is not started."""
    table = Table(title=f"{STAGE}: {found.n_conversations} conversations, nothing sent")
    for name in ("", "requests", "recorded", "tokens in/out", "USD"):
        table.add_column(name, justify="right" if name else "left")
    for name, share in (("writer", found.writer), ("judge", found.judge)):
        if share is not None:
            table.add_row(name, *_cells(share))
    console.print(table)
    if found.cost_usd is None:
        console.print("no cost: a price is missing; set usd_per_million_input_tokens and …_output_tokens of both")
    else:
        console.print(
            f"about {found.cost_usd:.2f} USD at four characters a token; at most {found.most_requests} requests and "
            f"{found.most_cost_usd or 0:.2f} USD if all is written again; --max-cost-usd holds a run to less",
            highlight=False,
        )
    print_json({"stage": STAGE, "dry_run": True} | found.model_dump(mode="json"))


def _cells(share: Share) -> tuple[str, str, str, str]:
    cost = "-" if share.cost_usd is None else f"{share.cost_usd:.4f}"
    return str(share.n_requests), str(share.n_recorded), f"{share.n_input_tokens}/{share.n_output_tokens}", cost


def print_outcome(outcome: Outcome, per_category: int, console: Console, *, replayed: Path | None = None) -> None:
    """Print the balance of the categories, and what was asked and paid.

    Args:
        outcome: Of a run.
        per_category: How many were wanted.
        console: For people.
        replayed: Folder of the recorded answers, where a run asks nothing; None where it asks.
    """
    reasons = sorted({reason for balance in outcome.balance.values() for reason in balance.n_dropped_by_reason})
    table = Table(title=f"{STAGE}: {sum(balance.n_written for balance in outcome.balance.values())} conversations")
    for name in ("category", "wanted", "asked", "written", *reasons):
        table.add_column(name, justify="left" if name == "category" else "right")
    for code, balance in outcome.balance.items():
        dropped = [str(balance.n_dropped_by_reason[reason]) for reason in reasons]
        table.add_row(code, str(per_category), str(balance.n_asked), str(balance.n_written), *dropped)
    console.print(table)
    stops = {outcome.writer.stopped, outcome.judge.stopped if outcome.judge else None} - {None}
    for stop in sorted(filter(None, stops)):
        typer.echo(f"error: {stop}", err=True)
    if outcome.report is None and replayed is not None:
        are_there = any(file.stat().st_size for file in replayed.rglob("*.jsonl"))
        found = "answers of some conversations are missing" if are_there else "there are no recorded answers"
        typer.echo(
            f"error: {found} in {replayed}, and --recorded asks for none; run without --recorded to ask, or name the "
            "folder of an earlier run with --answers",
            err=True,
        )
    elif outcome.report is None:
        typer.echo(
            f"error: some conversations have no answer yet; what is there so far is in {outcome.part}; run the same "
            "command again to go on",
            err=True,
        )
    elif short := [code for code, balance in outcome.balance.items() if balance.n_written < per_category]:
        typer.echo(
            f"error: fewer than {per_category} of {', '.join(short)}: all tries are used; raise --asked-ratio, or "
            "change what the brief says of them",
            err=True,
        )
    judges = [account.model_dump(mode="json") for account in (outcome.judge.accounts if outcome.judge else [])]
    print_json(
        {
            "stage": STAGE,
            "complete": outcome.report is not None,
            "categories": {code: balance.as_json() for code, balance in outcome.balance.items()},
            "outputs": outcome.report.outputs if outcome.report else {},
            "writer": outcome.writer.model_dump(mode="json"),
            "judge": _summed(judges),
        }
    )


def _summed(accounts: list[dict[str, object]]) -> dict[str, object]:
    """Return the numbers of the rounds added up."""
    names = ("n_reused", "n_attempts", "n_input_tokens", "n_output_tokens", "cost_usd")
    return {name: sum(float(str(account[name] or 0)) for account in accounts) for name in names}
