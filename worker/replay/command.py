"""`python -m worker replay`: the options, and how it ends."""

import os
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import orjson
import structlog
import typer
from rich.console import Console

from model import BundleError, PolicyError
from schemas import RejectionReason
from worker.errors import SettingsError
from worker.kafka.config import consumer_config
from worker.kafka.topic_scan import scan
from worker.predictor import build_predictor
from worker.process import logs
from worker.process.command_end import errors_end_the_process
from worker.process.lifecycle import Lifecycle, exit_now
from worker.process.metrics import Metrics
from worker.process.tuning import give_back_large_blocks, look_for_cycles_rarely
from worker.replay.plan.dry_run import count, estimate
from worker.replay.plan.plan_store import open_plan_store
from worker.replay.plan.planning import Choices, Planner
from worker.replay.plan.request import REPLAY_ID
from worker.replay.plan.selection import Selection
from worker.replay.report.account import print_report
from worker.replay.report.html import write_html
from worker.replay.run.assembly import ReplaySetup, prepare
from worker.replay.run.replay_run import run_replay, unfinished
from worker.settings.options import ConfigOption, parse_time
from worker.settings.source import usable_settings
from worker.settings.worker import WorkerSettings
from worker.wiring import make_cache

_COUNT_S: Final = 60.0
"""How long a dry run reads before it extrapolates."""

_N_NOT_MET_SHOWN: Final = 5

log = structlog.get_logger()


def _chat_ids(inline: list[str], file: Path | None) -> frozenset[str]:
    if file is None:
        return frozenset(inline)
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: not readable ({error}); expected UTF-8, one chat id per line") from error
    found = frozenset([*inline, *(line.strip() for line in lines if line.strip())])
    if not found:
        raise SettingsError(f"{file}: holds no chat id; expected one per line")
    return found


Texts = Annotated[list[str], typer.Option()]


def replay(
    *,
    config: ConfigOption = None,
    topic: Annotated[list[str], typer.Option(help="Topic to read; repeat for several. Default: the input topic.")] = [],  # noqa: B006
    redrive: Annotated[bool, typer.Option("--redrive", help="Judge the dead letters again.")] = False,
    from_time: Annotated[datetime | None, typer.Option(parser=parse_time, help="First record timestamp.")] = None,
    to_time: Annotated[
        datetime | None, typer.Option(parser=parse_time, help="Record timestamp to stop before.")
    ] = None,
    offsets: Annotated[
        list[str], typer.Option(help="[TOPIC:]PARTITION:START-END, END not included; repeat for several.")
    ] = [],  # noqa: B006
    partition: Annotated[list[int], typer.Option(min=0, help="Only this partition; repeat for several.")] = [],  # noqa: B006
    chat_id: Annotated[list[str], typer.Option(help="Only this chat; repeat for several.")] = [],  # noqa: B006
    chat_ids_file: Annotated[Path | None, typer.Option(help="File of chat ids, one per line.")] = None,
    reason: Annotated[
        list[RejectionReason], typer.Option(help="With --redrive: only dead letters of this reason.")
    ] = [],  # noqa: B006
    replay_id: Annotated[
        str | None, typer.Option(help="Name of the replay: the same name goes on or takes part. Default: a new one.")
    ] = None,
    verdict_topic: Annotated[
        str | None, typer.Option(help="Where verdicts go.", show_default="the configured verdict topic")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Another bundle than the configured one.")] = None,
    policy: Annotated[Path | None, typer.Option(help="Another policy than the configured one.")] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Report what changed against the verdict topic, and publish each change.")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Write the account as an HTML file.")] = None,
    cache_write: Annotated[
        bool | None,
        typer.Option(
            "--cache-write/--no-cache-write",
            help="Write verdicts into Redis, or leave it alone.",
            show_default="write, but not with a --verdict-topic of its own",
        ),
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Records per second, all processes together.")] = None,
    priority: Annotated[
        Literal["normal", "low"], typer.Option(help="low: wait while the live group is behind.")
    ] = "normal",
    max_live_lag: Annotated[
        int, typer.Option(min=1, help="With --priority low: records the live group may lag.")
    ] = 500,
    allow_lost: Annotated[bool, typer.Option("--allow-lost", help="Deleted offsets are no failure.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, estimate the time, and change nothing.")] = False,
) -> None:
    """Judge records again, or for the first time, between two fixed offsets; ends by itself.

    The range is fixed by the first process that uses a replay id; all others with the same id share the partitions.
    Run it again with the same id and options to go on after an interruption. Prints a table and, last, one JSON line.

    Exit codes: 0 complete; 1 unexpected error; 2 wrong usage or settings; 3 fatal; 4 stopped by force; 7 stopped
    before the end, or an earlier redrive was: the command that goes on with it is printed; 8 complete, but records were
    deleted unread; 9 records and outcomes do not balance.
    """
    settings = usable_settings(os.environ, config)
    name = replay_id or f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
    if not REPLAY_ID.fullmatch(name):
        raise SettingsError(f"--replay-id {name!r}: expected up to 100 letters, digits, dots, dashes and underscores")
    choices = Choices(
        replay_id=name,
        topics=tuple(dict.fromkeys(topic)),
        redrive=redrive,
        since=from_time,
        until=to_time,
        offsets=tuple(offsets),
        partitions=tuple(partition),
        chat_ids=_chat_ids(chat_id, chat_ids_file),
        reasons=tuple(reason),
        verdict_topic=verdict_topic,
        bundle=bundle,
        policy=policy,
        compare=compare,
        report=report,
        cache_write=cache_write,
        rate=rate,
        low_priority=priority == "low",
        max_live_lag=max_live_lag,
        allow_lost=allow_lost,
    )
    _run(settings, choices, dry_run=dry_run)


def _run(settings: WorkerSettings, choices: Choices, *, dry_run: bool) -> None:
    console = Console()
    # In a terminal the bar says how it goes, and log lines would tear it apart.
    logs.configure("warning" if console.is_terminal and settings.log.level == "info" else settings.log.level)
    lifecycle = Lifecycle(grace_s=settings.shutdown_grace_s)
    lifecycle.install()
    look_for_cycles_rarely()
    give_back_large_blocks()
    with errors_end_the_process("worker", BundleError, PolicyError):
        setup = prepare(settings, choices, lifecycle, console)
        if dry_run:
            answer, is_whole = _dry_run(setup)
            _print_line(answer | _chats_not_met(setup.selection, is_whole=is_whole))
            return
        report = run_replay(setup)
        print_report(report, console)
        if choices.report is not None:
            write_html(report, choices.report)
        # What was read before an interruption, or by other processes, was not met here.
        reading = report.state.total.reading
        is_whole = setup.selection.looked_at.n_records >= reading.n_read + reading.n_skipped
        _print_line(report.line() | _chats_not_met(setup.selection, is_whole=is_whole and report.state.is_complete))
    exit_now(report.exit_code)


def _print_line(line: dict[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
    sys.stdout.flush()


def _chats_not_met(selection: Selection, *, is_whole: bool) -> dict[str, Any]:
    """Say which of the chats asked for no record was of; an id that was mistyped, or cut wrongly from a file, is none.

    Args:
        selection: What was asked for and met.
        is_whole: Whether this process read the whole range.
    """
    if not selection.chats:
        return {}
    if not is_whole and not selection.looked_at.n_records:
        # Run again after its end, or nothing left for this process.
        return {"n_chats": len(selection.chats), "n_chats_not_met": None, "whole_range_read": False}
    not_met = selection.not_met()
    if not_met:
        read = "record of the range" if is_whole else "record that this process read"
        typer.echo(
            f"warning: {len(not_met)} of {len(selection.chats)} chat ids: no {read} is of them: "
            f"{', '.join(map(repr, not_met[:_N_NOT_MET_SHOWN]))}{' …' * (len(not_met) > _N_NOT_MET_SHOWN)}; expected "
            "ids as upstream writes them, in a file one per line, without header, quotes or other columns",
            err=True,
        )
    return {"n_chats": len(selection.chats), "n_chats_not_met": len(not_met), "whole_range_read": is_whole}


def _dry_run(setup: ReplaySetup) -> tuple[dict[str, Any], bool]:
    """Return the answer and whether the whole range was read."""
    settings, choices = setup.settings, setup.choices
    request = setup.request
    store = open_plan_store(settings.kafka, transactional_id="")
    planner = Planner(setup.admin, store, old_verdict_topic="", timeout_s=setup.timeout_s)
    stored = store.read()
    plan = planner.draft(choices.replay_id, request.model_copy(update={"changes_topic": None}), stored)
    left = unfinished(setup, stored, plan.topic_ids)
    store.close()
    for one in left:
        typer.echo(one.sentence(), err=True)
    steps = scan(consumer_config(settings.kafka), plan.ranges, timeout_s=settings.kafka.unreachable_exit_s)
    counted, is_whole = count(steps, plan, setup.selection, limit_s=_COUNT_S)
    metrics = Metrics()
    cache = make_cache(settings, metrics)
    predictor = build_predictor(setup.loaded, settings.model)
    answer = estimate(
        counted,
        is_whole=is_whole,
        plan=plan,
        classifier=predictor.classifier,
        cache=cache,
        builder=predictor.builder,
        selection=setup.selection,
        rate=choices.rate,
    )
    cache.close()
    return answer | {"unfinished_redrives": [one.line() for one in left]}, is_whole
