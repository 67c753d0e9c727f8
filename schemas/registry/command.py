"""`python -m schemas register`: the contracts in a schema registry."""

import json
from collections.abc import Iterable
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.contracts import CONTRACTS
from schemas.registry.client import Registry, RegistryError, credentials
from schemas.registry.registration import State, Step, apply, plan, set_levels

EXIT_PROBLEMS: Final = 1
_err = Console(stderr=True)


def register(
    *,
    url: Annotated[str, typer.Option("--url", help="Address of the registry.")],
    subject: Annotated[
        list[str] | None,
        typer.Option("--subject", help="CONTRACT=SUBJECT, again and again: another subject than the default."),
    ] = None,
    levels: Annotated[
        bool,
        typer.Option("--set-compatibility", help="Set FORWARD for what the worker writes, BACKWARD for what it reads."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line per contract.")] = False,
) -> None:
    """Register all contracts in a registry that speaks Confluent's API; a second run changes nothing.

    All are checked for compatibility before the first is written. Login: SCHEMA_REGISTRY_USERNAME and
    SCHEMA_REGISTRY_PASSWORD, or SCHEMA_REGISTRY_TOKEN, in the environment.

    Exit codes: 0 all are there (or could be); 1 one is incompatible and nothing was written, or the registry refuses.
    """
    chosen = _chosen(subject or [])
    try:
        registry = Registry(url, credentials())
        steps = plan(registry, chosen)
        if levels and not dry_run:
            set_levels(registry, steps)
            steps = plan(registry, chosen)
        if not dry_run and not any(step.state is State.INCOMPATIBLE for step in steps):
            steps = apply(registry, steps)
    except RegistryError as error:
        _err.print(f"[bold red]error[/]: {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(EXIT_PROBLEMS) from None
    _show(steps, as_json=as_json)
    wrong = [step for step in steps if step.state is State.INCOMPATIBLE]
    for step in wrong:
        for problem in step.problems:
            _err.print(f"[bold red]error[/]: {escape(f'{step.subject}: {problem}')}", highlight=False, soft_wrap=True)
    if wrong:
        raise typer.Exit(EXIT_PROBLEMS)


def _chosen(pairs: Iterable[str]) -> dict[str, str]:
    names = {contract.name for contract in CONTRACTS}
    chosen: dict[str, str] = {}
    for pair in pairs:
        name, _, subject = pair.partition("=")
        if name not in names or not subject:
            raise typer.BadParameter(
                f"{pair!r}; expected CONTRACT=SUBJECT with one of {', '.join(sorted(names))}", param_hint="--subject"
            )
        chosen[name] = subject
    return chosen


def _fields(step: Step) -> dict[str, Any]:
    found = step.registered
    return {
        "contract": f"{step.contract.name} {step.contract.major}",
        "subject": step.subject,
        "state": step.state.value,
        "id": None if found is None else found.id,
        "version": None if found is None else found.version,
        "guid": None if found is None else found.guid,
    }


def _show(steps: Iterable[Step], *, as_json: bool) -> None:
    if as_json:
        for step in steps:
            typer.echo(json.dumps(_fields(step)))
        return
    table = Table("contract", "subject", "state", "id", "version", "guid")
    for step in steps:
        table.add_row(*("-" if value is None else escape(str(value)) for value in _fields(step).values()))
    Console().print(table)
