"""`python -m worker override set|clear|list`: a person's word on a chat, its options, and how it ends."""

import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import orjson
import typer
from rich.console import Console
from rich.table import Table

from model.policies.context import EVERY_POLICY
from schemas import Decision, Override, OverrideScope, Verdict
from worker.errors import SettingsError
from worker.kafka.probe import open_admin
from worker.overrides.applying import is_in_force
from worker.overrides.newest_verdict import newest_verdict
from worker.overrides.store import OverrideStore
from worker.overrides.wish import Wish, not_lifted_by, outweighed_text, outweighing, policies_text, wish_of
from worker.process import logs
from worker.process.lifecycle import EXIT_NOT_CACHED
from worker.process.printable import cell
from worker.settings.options import ConfigOption
from worker.settings.source import usable_settings
from worker.settings.worker import WorkerSettings

app = typer.Typer(
    help="A person's word on a chat: what it says, until when, and who said it. Workers follow it within two seconds.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LONGEST: Final = timedelta(days=3_650)
_ACTOR: Final = re.compile(r"[!-~]{1,128}")
_REASON: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")

ChatOption = Annotated[str, typer.Argument(help="The chat.")]
PolicyOption = Annotated[str, typer.Option("--policy", help="Name of a policy; `*`: all of them.")]
ActorOption = Annotated[str, typer.Option("--actor", help="Who decides: an opaque id, no name and no address.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why: a code such as false_positive.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]


def parse_duration(text: str) -> timedelta:
    """Read a length of time such as 24h, 30m or 7d."""
    found = _DURATION.fullmatch(text.strip())
    length = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta()
    if not timedelta() < length <= _LONGEST:
        raise typer.BadParameter(f"{text[:32]!r}: expected a number and s, m, h or d, such as 24h; ten years at most")
    return length


@app.command(name="set")
def set_override(
    chat_id: ChatOption,
    decision: Annotated[Decision, typer.Argument(help="What the chat gets.")],
    *,
    actor: ActorOption,
    reason: ReasonOption,
    policy: PolicyOption = EVERY_POLICY,
    whole_chat: Annotated[
        bool, typer.Option("--whole-chat", help="Allow whatever the chat says from now on, too.")
    ] = False,
    expires_in: Annotated[
        timedelta | None,
        typer.Option(parser=parse_duration, help="How long it counts, such as 24h.", show_default="24h for allow"),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Decide on a chat in the place of the model.

    An allow counts for the text that the chat's newest verdict is on, and for 24 hours; a block or a review for the
    whole chat, until it is taken back. Neither lifts the floor or a deny list. The override and its record in the audit
    log are written together. The worker then publishes a verdict on the same record, to the topic and to Redis.

    Exit codes: 0 written; 1 unexpected error; 2 wrong usage or settings, or it would not count; 3 fatal; 5 the chat has
    no verdict.
    """
    settings = _settings(config, actor, reason)
    admin = open_admin(settings.kafka)
    store = OverrideStore(settings, admin)
    verdict = _known(settings, newest_verdict(settings, admin, chat_id), chat_id)
    now = datetime.now(UTC)
    wish = wish_of(
        decision,
        policy=_known_policy(verdict, policy),
        whole_chat=whole_chat,
        lasts=expires_in,
        actor=actor,
        reason=reason,
        decided_at=now,
    )
    standing = store.of_chat(chat_id)
    _refuse_what_would_not_count(wish, standing, now)
    override = store.put(verdict, wish, standing, now)
    if as_json:
        _write({"event": "override_set", **override.model_dump(mode="json")})
    else:
        until = "until it is taken back" if override.expires_at is None else f"until {_moment(override.expires_at)}"
        what = "its present text" if override.scope is OverrideScope.FINGERPRINT else "the whole chat"
        typer.echo(
            f"{override.decision.value} for {policies_text(policy)}, {what}, {until} (revision {override.revision}); "
            f"the newest verdict said {verdict.decision.value} ({verdict.decided_by.value})"
            f"{_not_lifted(wish, verdict)}"
        )


@app.command(name="clear")
def clear_override(
    chat_id: ChatOption,
    *,
    actor: ActorOption,
    reason: ReasonOption,
    policy: Annotated[
        str | None, typer.Option("--policy", help="Only what was decided for it.", show_default="whatever stands")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Take back what was decided on a chat: the next event is decided without it.

    Exit codes: 0 taken back; 1 unexpected error; 2 wrong usage or settings; 3 fatal; 5 nothing stands.
    """
    settings = _settings(config, actor, reason)
    store = OverrideStore(settings, open_admin(settings.kafka))
    standing = store.of_chat(chat_id)
    wanted = [one for one in standing if policy in {None, one.policy}]
    if not wanted:
        named = ", ".join(sorted({one.policy for one in standing})) or "none at all"
        typer.echo(
            f"error: nothing was decided on chat {chat_id!r}"
            + ("" if policy is None else f" for policy {policy!r}; found {named}")
            + "; `python -m worker override list` shows what stands",
            err=True,
        )
        raise typer.Exit(EXIT_NOT_CACHED)
    store.remove(wanted, actor=actor, reason=reason)
    if as_json:
        _write({"event": "override_cleared", "overrides": [one.model_dump(mode="json") for one in wanted]})
        return
    for one in wanted:
        typer.echo(
            f"taken back: {one.decision.value} for {policies_text(one.policy)} (revision {one.revision}); the verdict "
            "on the chat's next event is without it"
        )


@app.command(name="list")
def list_overrides(
    *,
    chat_id: Annotated[str | None, typer.Option("--chat", help="Only of this chat.")] = None,
    with_expired: Annotated[bool, typer.Option("--expired", help="Those too that count no longer.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print what people decided and has not been taken back, the newest first.

    Exit codes: 0 done; 1 unexpected error; 2 wrong usage or settings; 3 fatal.
    """
    settings = _settings(config)
    store = OverrideStore(settings, open_admin(settings.kafka))
    now = datetime.now(UTC)
    found = store.all() if chat_id is None else store.of_chat(chat_id)
    shown = sorted(
        (one for one in found if with_expired or is_in_force(one, now)), key=lambda one: one.revision, reverse=True
    )
    if as_json:
        _write({"event": "overrides_listed", "overrides": [one.model_dump(mode="json") for one in shown]})
        return
    _print(shown, now)


def _settings(config: Any, actor: str | None = None, reason: str | None = None) -> WorkerSettings:
    if actor is not None and not _ACTOR.fullmatch(actor):
        raise typer.BadParameter("--actor: expected 1 to 128 printable ASCII characters without blanks: an opaque id")
    if reason is not None and not _REASON.fullmatch(reason):
        raise typer.BadParameter(
            "--reason: expected a code of a to z, 0 to 9, `_`, `.`, `-`, at most 64 characters, such as "
            "false_positive; free text could name a person"
        )
    settings = usable_settings(os.environ, config)
    logs.configure("warning" if settings.log.level == "info" else settings.log.level)
    if actor is not None and settings.kafka.decisions_topic is None:
        raise SettingsError(
            "MODERATION_KAFKA__DECISIONS_TOPIC is not set; expected the audit log (verdict-decisions), in which every "
            "decision of a person is recorded; set it"
        )
    return settings


def _known(settings: WorkerSettings, verdict: Verdict | None, chat_id: str) -> Verdict:
    if verdict is None:
        typer.echo(
            f"error: chat {chat_id!r} has no verdict, neither in Redis nor in {settings.kafka.verdict_topic}; expected "
            "one, to which the decision can answer; check the id: `python -m worker explain` looks further",
            err=True,
        )
        raise typer.Exit(EXIT_NOT_CACHED)
    return verdict


def _known_policy(verdict: Verdict, policy: str) -> str:
    if policy != EVERY_POLICY and policy not in verdict.decisions:
        raise SettingsError(
            f"--policy {policy!r} decides on no verdict; expected `*` or one of {', '.join(sorted(verdict.decisions))}"
        )
    return policy


def _refuse_what_would_not_count(wish: Wish, standing: Sequence[Override], now: datetime) -> None:
    """Refuse a decision beside a stricter one.

    Raises:
        SettingsError: there is one.
    """
    if (stricter := outweighing(wish, standing, now)) is not None:
        raise SettingsError(f"{outweighed_text(stricter)}; take it back first: `python -m worker override clear`")


def _not_lifted(wish: Wish, verdict: Verdict) -> str:
    """Return what to add where the newest verdict is one that no person loosens."""
    if not (barriers := not_lifted_by(wish.decision, wish.policy, verdict.decisions)):
        return ""
    names = " and ".join(one.value for one in barriers)
    return f"; beside the {names} it counts for nothing: the chat stays blocked"


def _moment(time: datetime) -> str:
    return time.isoformat(timespec="seconds")


def _print(overrides: Sequence[Override], now: datetime) -> None:
    table = Table(title=f"overrides: {len(overrides)}", title_justify="left")
    for column in ("chat", "policy", "decision", "scope", "until", "actor", "reason", "revision"):
        table.add_column(column, overflow="fold")
    for one in overrides:
        until = "no end" if one.expires_at is None else _moment(one.expires_at)
        cells = (one.chat_id, one.policy, one.decision.value, one.scope.value)
        expired = "" if is_in_force(one, now) else " (expired)"
        table.add_row(*map(cell, (*cells, until + expired, one.actor, one.reason, str(one.revision))))
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)


def _write(line: dict[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
    sys.stdout.flush()
