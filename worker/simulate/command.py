"""`python -m worker policy simulate`: what another policy would have decided."""

import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from pydantic import ValidationError
from rich.console import Console

from model import DEFAULT_BUNDLE_PATH, Bundle, load_bundle, load_policy
from model.policies.simulate import Simulation
from model.policies.simulated import Account
from schemas import Verdict, decode_verdict
from worker.errors import SettingsError
from worker.process import logs
from worker.settings.options import ConfigOption, parse_time
from worker.settings.source import read_settings
from worker.settings.worker import WorkerSettings
from worker.simulate.newest import NewestCases
from worker.simulate.page import write_page
from worker.simulate.text import print_account
from worker.simulate.verdicts import STANDARD_INPUT, WrittenVerdict, of_file, of_topic

EXIT_NOTHING_COMPARED: Final = 1
_PIPE_COLUMNS: Final = 160

_Times = tuple[datetime | None, datetime | None]
_Verdicts = Iterator[tuple[Verdict, WrittenVerdict]]

policy_commands = typer.Typer(
    help="Policies: what another one would have decided.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@policy_commands.callback()
def _policy() -> None:
    """Policies: what another one would have decided."""


@policy_commands.command()
def simulate(
    *,
    policy: Annotated[Path, typer.Option("--policy", exists=True, dir_okay=False, help="Policy file that is tried.")],
    against: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Policy file to compare with.", show_default="the verdicts"),
    ] = None,
    verdicts: Annotated[
        str | None,
        typer.Option(
            help="File of verdicts, one JSON line each; - for standard input; or a topic.",
            show_default="the verdict topic",
        ),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(exists=True, help="The bundle that judged, or its registry.", show_default="the configured one"),
    ] = None,
    floor: Annotated[
        str, typer.Option(help="Codes, comma-separated, that no policy may allow, besides the taxonomy's.")
    ] = "",
    newest: Annotated[bool, typer.Option("--newest", help="Only the newest verdict of each chat.")] = False,
    from_time: Annotated[
        datetime | None,
        typer.Option(
            parser=parse_time, help="First record's time; of a file, `decided_at`.", show_default="all there are"
        ),
    ] = None,
    to_time: Annotated[
        datetime | None, typer.Option(parser=parse_time, help="Time to stop before.", show_default="now")
    ] = None,
    sample: Annotated[int, typer.Option(min=0, max=1_000, help="Chats to name of each kind of change.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Another one names other chats.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Write a page with the curve.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show what a policy would have decided on given verdicts: counts, risks, chats and the curve. Writes nothing.

    Decides from the evidence that verdicts hold; nothing is classified. Without --newest live verdicts count, each
    of them; with it replays count too. Verdicts of other bundles, and what people, lists or holds decided, are set
    aside and counted. A file needs no settings: --bundle says who judged.

    Exit codes: 0 done; 1 no verdict could be compared; 2 wrong usage or settings; 3 fatal.
    """
    file = _file(verdicts)
    settings = None if file is not None and config is None else _settings(verdicts, config)
    if settings is not None:
        logs.configure("warning" if settings.log.level == "info" else settings.log.level)
    loaded = _bundle(bundle, settings)
    simulation = Simulation(
        loaded,
        load_policy(policy, loaded),
        None if against is None else load_policy(against, loaded),
        _floor(floor, settings),
    )
    account = Account(simulation, n_sampled=sample, seed=seed)
    times = (from_time, to_time)
    found = _of_topic(settings, verdicts, times, account) if file is None else _of_file(file, times, account)
    (_count_newest if newest else _count)(found, simulation, account)
    document = {"event": "policy_simulated", "model": loaded.digest, **account.document()}
    if html is not None:
        write_page(document, html)
    if as_json:
        sys.stdout.write(orjson.dumps(document).decode() + "\n")
    else:
        print_account(document, Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS, highlight=False))
    if not account.n_compared:
        typer.echo(f"error: {_nothing_compared(loaded, account)}", err=True)
        raise typer.Exit(EXIT_NOTHING_COMPARED)


def _nothing_compared(bundle: Bundle, account: Account) -> str:
    n_unreadable, n_lines = account.set_aside["unreadable"], account.set_aside.total()
    if n_lines and n_unreadable == n_lines:
        return (
            f"found {n_lines} lines and no verdict; expected verdicts as on their topic, one a line; check --verdicts"
        )
    return f"found no verdict of bundle {bundle.digest} to compare; name the one that judged with --bundle"


def _file(verdicts: str | None) -> Path | None:
    """Return the file that is meant; None where a topic is."""
    if verdicts is None:
        return None
    path = Path(verdicts)
    # A pipe of the shell's is no regular file.
    is_readable = path.exists() and not path.is_dir()
    return path if path == STANDARD_INPUT or is_readable else None


def _settings(verdicts: str | None, config: Path | None) -> WorkerSettings:
    try:
        return read_settings(os.environ, config)
    except SettingsError as error:
        if verdicts is None or _file(verdicts) is not None:
            raise
        raise SettingsError(
            f"--verdicts {verdicts}: no such file; read as a topic it needs settings: {error}"
        ) from None


def _bundle(path: Path | None, settings: WorkerSettings | None) -> Bundle:
    if settings is None:
        return load_bundle(path or DEFAULT_BUNDLE_PATH)
    return load_bundle(path or settings.model.path, public_key=settings.model.public_key_file)


def _floor(codes: str, settings: WorkerSettings | None) -> frozenset[str]:
    named = frozenset(code.strip() for code in codes.split(",") if code.strip())
    return named if settings is None else named | settings.model.floor_codes


def _of_topic(settings: WorkerSettings | None, topic: str | None, times: _Times, account: Account) -> _Verdicts:
    kafka = (settings or read_settings(os.environ, None)).kafka
    since_ms, until_ms = (None if moment is None else int(moment.timestamp() * 1_000) for moment in times)
    return _decoded(of_topic(kafka, topic or kafka.verdict_topic, since_ms, until_ms), account)


def _of_file(file: Path, times: _Times, account: Account) -> _Verdicts:
    since, until = times
    for verdict, written in _decoded(of_file(file), account):
        if (since is None or verdict.decided_at >= since) and (until is None or verdict.decided_at < until):
            yield verdict, written


def _decoded(written: Iterator[WrittenVerdict], account: Account) -> _Verdicts:
    """Yield what is a verdict; count what is none."""
    for one in written:
        try:
            yield decode_verdict(one.value), one
        except ValidationError:
            account.set_aside["unreadable"] += 1


def _count(verdicts: _Verdicts, simulation: Simulation, account: Account) -> None:
    for verdict, _ in verdicts:
        if verdict.replay_id is None:
            account.add(simulation.case(verdict))
        else:
            account.set_aside["replayed"] += 1


def _count_newest(verdicts: _Verdicts, simulation: Simulation, account: Account) -> None:
    with NewestCases() as cases:
        for verdict, written in verdicts:
            cases.offer(simulation.case(verdict), verdict, written)
        for case in cases:
            account.add(case)
