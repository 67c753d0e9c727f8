"""`python -m worker explain`: the options, and how it ends."""

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import structlog
import typer
from rich.console import Console

from worker.errors import SettingsError
from worker.explain.document import document
from worker.explain.explained import Explained, explained
from worker.explain.judges import Judges
from worker.explain.look import ChatSearch, Stopped, TopicLook, scan_of, topic_looks
from worker.explain.outcomes import ChatHistory
from worker.explain.text import looked_through, print_history
from worker.kafka.probe import open_admin
from worker.process import logs
from worker.process.command_end import errors_end_the_process
from worker.process.lifecycle import (
    EXIT_NOT_CACHED,
    EXIT_STOPPED_EARLY,
    Lifecycle,
    exit_now,
)
from worker.process.read_progress import ReadProgress
from worker.record import Place
from worker.settings.options import ConfigOption, parse_time
from worker.settings.source import usable_settings
from worker.settings.worker import WorkerSettings

log = structlog.get_logger()

_LATE_MS: Final = 3_600_000
"""How much earlier than its neighbours a record may be stamped: workers' clocks differ."""
_PIPE_COLUMNS: Final = 160


def explain(
    chat_id: Annotated[str, typer.Argument(help="The chat.")],
    *,
    config: ConfigOption = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            parser=parse_time, help="What was published up to then, and what was in force.", show_default="now"
        ),
    ] = None,
    from_time: Annotated[
        datetime | None,
        typer.Option(parser=parse_time, help="Read what was published since.", show_default="all that the topics hold"),
    ] = None,
    bundle: Annotated[
        list[Path],
        typer.Option(exists=True, help="A bundle that decided, or a registry that held it; repeat for several."),
    ] = [],  # noqa: B006
    policy: Annotated[
        list[Path], typer.Option(exists=True, dir_okay=False, help="A policy file that decided; repeat for several.")
    ] = [],  # noqa: B006
    all_partitions: Annotated[bool, typer.Option("--all-partitions", help="Read every partition.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Newest outcomes to show.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Print what the topics say of a chat: its verdicts, dead letters and tombstones, and why each verdict is so.

    Reads committed records only, of the chat's partition; of all partitions where records lie elsewhere too, and says
    so. Writes nothing and joins no group. Thresholds and what would have changed a decision need the bundle and the
    policy that took it: the configured ones, earlier bundles of the same registry, and what --bundle and --policy name.

    Exit codes: 0 explained; 1 unexpected error; 2 wrong usage or settings; 3 fatal; 4 stopped by force; 5 the topics
    hold no outcome of the chat; 7 stopped before the end, with what was found so far.
    """
    settings = usable_settings(os.environ, config)
    if not chat_id:
        raise SettingsError("the chat id is empty; expected the chat_id of an event")
    logs.configure("warning" if settings.log.level == "info" else settings.log.level)
    lifecycle = Lifecycle(grace_s=settings.shutdown_grace_s)
    lifecycle.install()
    history = ChatHistory(limit=limit, until_ms=_ms(at))
    with errors_end_the_process("explain"):
        looks = topic_looks(
            open_admin(settings.kafka),
            settings.kafka,
            chat_id,
            since_ms=_ms(from_time),
            until_ms=None if at is None else (_ms(at) or 0) + _LATE_MS,
        )
        is_complete = True
        with ReadProgress("explain", Console(stderr=True), 0, _write_progress) as progress:
            search = ChatSearch(
                chat_id,
                settings,
                history,
                scan=scan_of(settings.kafka),
                stopping=lifecycle.stopping.is_set,
                progressed=progress.progressed,
                more_to_read=progress.more_to_read,
            )
            try:
                search.run(looks, everywhere=all_partitions)
            except Stopped:
                is_complete = False
        judges = Judges(
            [settings.model.path, *bundle],
            [*_configured(settings), *policy],
            folder=settings.model.policies_dir,
            floor=settings.model.floor_codes,
        )
        explanations = {
            one.place: explained(one.verdict, judges) for one in history.outcomes() if one.verdict is not None
        }
        if as_json:
            _write(document(chat_id, at, history, explanations, looks, is_complete=is_complete))
        else:
            _show(chat_id, at, history, explanations, looks)
    if not is_complete:
        typer.echo("error: stopped before the end; run it again", err=True)
        exit_now(EXIT_STOPPED_EARLY)
    if not history.n_found:
        typer.echo(f"error: {_nothing(chat_id, at, looks)}", err=True)
        exit_now(EXIT_NOT_CACHED)
    exit_now(0)


def _configured(settings: WorkerSettings) -> list[Path]:
    return [] if settings.model.policy_path is None else [settings.model.policy_path]


def _show(
    chat_id: str,
    at: datetime | None,
    history: ChatHistory,
    explanations: dict[Place, Explained],
    looks: list[TopicLook],
) -> None:
    console = Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS, highlight=False)
    if history.n_found:
        print_history(chat_id, at, history, explanations, console)
        console.print()
        for line in looked_through(looks):
            console.print(f"looked through {line}", markup=False, style="dim")


def _nothing(chat_id: str, at: datetime | None, looks: list[TopicLook]) -> str:
    up_to = "" if at is None else f" published up to {at.isoformat()}"
    return (
        f"no outcome of chat {chat_id!r}{up_to} in {'; '.join(looked_through(looks))}; it may be older than what the "
        "topics keep, or lie in another partition (--all-partitions reads them all)"
    )


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1_000)


def _write(line: dict[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(line).decode() + "\n")


def _write_progress(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()
