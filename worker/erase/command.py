"""`python -m worker erase`: the options, and how it ends."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Final

import orjson
import structlog
import typer
from rich.console import Console

from schemas.chat_event import MAX_CHAT_ID_CHARACTERS
from worker.erase.account import Account, CacheAccount, print_account
from worker.erase.run import Eraser
from worker.errors import SettingsError
from worker.kafka.probe import open_admin
from worker.process import logs
from worker.process.command_end import errors_end_the_process
from worker.process.lifecycle import (
    EXIT_CACHE_AWAY,
    EXIT_STOPPED_EARLY,
    Lifecycle,
    exit_now,
)
from worker.process.read_progress import ReadProgress
from worker.settings.options import ConfigOption
from worker.settings.source import usable_settings
from worker.settings.worker import WorkerSettings

log = structlog.get_logger()

_PIPE_COLUMNS: Final = 160


def erase(
    chat_id: Annotated[list[str] | None, typer.Argument(help="The chats to forget.", show_default=False)] = None,
    *,
    config: ConfigOption = None,
    chats_file: Annotated[Path | None, typer.Option(help="File of chat ids, one per line.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what there is, and change nothing.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave the topics unread that delete by age: nothing is counted there.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Forget chats, wherever they are: in topics by tombstones, in Redis by a marker, in later training by a list.

    The tombstone in the input topic makes the workers forget a chat, too. What no tombstone takes out, because its
    topic deletes by age alone, is counted, with the time by which it is gone (docs/retention.md). Prints an account
    that names no chat. Run it again after any error, and with --dry-run to see what is left.

    Exit codes: 0 done; 1 unexpected error; 2 wrong usage or settings; 3 fatal; 4 stopped by force; 6 all but Redis is
    done, which takes no markers: the workers put them in; 7 stopped before the end.
    """
    settings = usable_settings(os.environ, config)
    chats = _chats(chat_id or [], chats_file)
    logs.configure("warning" if settings.log.level == "info" else settings.log.level)
    lifecycle = Lifecycle(grace_s=settings.shutdown_grace_s)
    lifecycle.install()
    account = Account(len(chats), is_dry_run=dry_run, began_ms=int(time.time() * 1_000), ttl_s=settings.redis.ttl_s)
    if settings.redis.url is not None:
        account.cache = CacheAccount()
    if settings.kafka.erasures_topic is not None:
        account.n_listed = 0
    with errors_end_the_process("erase"):
        _run(settings, chats, account, lifecycle, is_quick=quick)
    if as_json:
        sys.stdout.write(orjson.dumps(account.line()).decode() + "\n")
    else:
        print_account(account, Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS))
    exit_now(_exit_code(account))


def _run(settings: WorkerSettings, chats: list[str], account: Account, lifecycle: Lifecycle, *, is_quick: bool) -> None:
    admin = open_admin(settings.kafka)
    with ReadProgress("erase", Console(stderr=True), 0, _write_progress) as progress:
        Eraser(
            settings,
            admin,
            chats,
            account,
            stopping=lifecycle.stopping.is_set,
            progressed=progress.progressed,
            more_to_read=progress.more_to_read,
        ).run(is_quick=is_quick)


def _exit_code(account: Account) -> int:
    if not account.is_complete:
        typer.echo("error: stopped before every topic was read; run it again", err=True)
        return EXIT_STOPPED_EARLY
    return EXIT_CACHE_AWAY if account.cache is not None and account.cache.problem is not None else 0


def _chats(inline: list[str], file: Path | None) -> list[str]:
    """Return the chats that are named, each once.

    Raises:
        SettingsError: none is, or one can be no chat_id. The text quotes none: it ends in a terminal's history.
    """
    lines: list[str] = []
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file}: not readable ({error}); expected UTF-8, one chat id per line") from error
    found = list(dict.fromkeys([*inline, *(line.strip() for line in lines if line.strip())]))
    if not found:
        raise SettingsError("no chat is named; expected chat ids as arguments, or one per line in --chats-file")
    for at, chat_id in enumerate(found, start=1):
        if not 0 < len(chat_id) <= MAX_CHAT_ID_CHARACTERS or not _is_text(chat_id):
            raise SettingsError(
                f"chat id {at} of {len(found)} has {len(chat_id)} characters; expected UTF-8 text of 1 to "
                f"{MAX_CHAT_ID_CHARACTERS}, as upstream writes it"
            )
    return found


def _is_text(chat_id: str) -> bool:
    try:
        chat_id.encode()
    except UnicodeEncodeError:
        return False
    return True


def _write_progress(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()
