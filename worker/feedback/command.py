"""`python -m worker feedback send`: report a verdict as wrong."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer
from pydantic import ValidationError

from schemas import Decision, Feedback, FeedbackRefused, Verdict, decode_verdict, encode_feedback, feedback_on
from worker.cache.show import cached_outcome
from worker.errors import SettingsError
from worker.kafka.send_one import send_one
from worker.process import logs
from worker.process.lifecycle import EXIT_NOT_CACHED, EXIT_USAGE
from worker.settings.options import ConfigOption
from worker.settings.source import usable_settings
from worker.settings.worker import WorkerSettings

_REDIS_TIMEOUT_S = 2.0
"""Nobody's verdict waits for it."""

app = typer.Typer(help="Reports that verdicts are wrong.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _commands() -> None:
    """Reports that verdicts are wrong, for training."""


@app.command()
def send(
    *,
    chat_id: Annotated[str | None, typer.Option(help="The chat, whose newest verdict is taken from the cache.")] = None,
    verdict: Annotated[
        Path | None,
        typer.Option(
            help="File with the verdict instead, as on its topic or as `worker show --json` prints it; -: stdin."
        ),
    ] = None,
    verdict_id: Annotated[
        str | None, typer.Option(help="Only where the verdict has this id; else nothing is sent.")
    ] = None,
    category: Annotated[str | None, typer.Option(help="Code of the category that is right.")] = None,
    decision: Annotated[Decision | None, typer.Option(help="The decision that is right.")] = None,
    reporter: Annotated[str, typer.Option(help="Who says so: an id that stays the same, no name or address.")],
    note: Annotated[str | None, typer.Option(help="Free text, at most 1,000 characters.")] = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Report a verdict as wrong; the report names its event, and `python -m training_pipeline feedback` reads it.

    Exit codes: 0 sent; 2 wrong usage, settings or values; 3 fatal; 5 no such verdict is known, nothing was sent; 6 the
    cache does not answer.
    """
    settings = usable_settings(os.environ, config)
    logs.configure("warning" if settings.log.level == "info" else settings.log.level)
    if (topic := settings.kafka.feedback_topic) is None:
        raise SettingsError("MODERATION_KAFKA__FEEDBACK_TOPIC is not set; expected the topic of reports")
    if (chat_id is None) == (verdict is None):
        raise SettingsError("found --chat-id and --verdict, or neither; expected exactly one of them")
    if category is None and decision is None:
        raise SettingsError("found neither --category nor --decision; expected what would have been right: one or both")
    known = _cached(settings, chat_id) if chat_id is not None else _read(verdict or Path("-"))
    if known is None or verdict_id not in (None, known.verdict_id):
        where = "in --verdict" if chat_id is None else f"of chat {chat_id!r} in the cache"
        typer.echo(f"error: {_unknown(known, verdict_id, where)}", err=True)
        raise typer.Exit(EXIT_NOT_CACHED)
    try:
        report = feedback_on(
            known,
            reporter=reporter,
            reported_at=datetime.now(UTC),
            category=category,
            decision=decision,
            note=note,
        )
    except FeedbackRefused as refused:
        typer.echo(f"error: {refused}", err=True)
        raise typer.Exit(EXIT_USAGE) from None
    place = send_one(settings.kafka, topic, key=report.verdict_id.encode(), value=encode_feedback(report))
    _print(report, place, as_json=as_json)


def _unknown(known: Verdict | None, wanted: str | None, where: str) -> str:
    if known is None:
        return (
            f"found no verdict {where}; expected {wanted or 'one'}; nothing was sent; check the id, or give the "
            "verdict from its topic by --verdict"
        )
    return (
        f"found verdict {known.verdict_id} {where}; expected {wanted}; nothing was sent; the chat may have been judged "
        "again since: give the earlier verdict by --verdict, or report this one"
    )


def _cached(settings: WorkerSettings, chat_id: str) -> Verdict | None:
    if settings.redis.url is None:
        raise SettingsError("MODERATION_REDIS__URL is not set; expected the verdict cache, or give --verdict")
    found = cached_outcome(settings.redis, chat_id, timeout_s=_REDIS_TIMEOUT_S)
    return found if isinstance(found, Verdict) else None


def _read(path: Path) -> Verdict:
    try:
        raw = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return decode_verdict(raw.strip())
    except OSError as error:
        raise SettingsError(f"--verdict {path}: cannot be read ({error.strerror}); expected a verdict") from None
    except ValidationError:
        raise SettingsError(
            f"--verdict {path}: holds no verdict; expected one JSON object as on the verdict topic"
        ) from None


def _print(report: Feedback, place: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(orjson.dumps({"sent": True, "place": place, "verdict_id": report.verdict_id}).decode())
    else:
        typer.echo(f"sent to {place}: verdict {report.verdict_id}")
