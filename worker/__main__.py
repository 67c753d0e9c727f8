"""Command line of the worker.

Settings come from MODERATION_ environment variables and an optional TOML file (--config); `check-config` lists them
all.

Exit codes: 0 done, or stopped on request with everything committed; 1 unexpected error, or (shadow-report) less
agreement than asked for, or (policy simulate) nothing to compare; 2 wrong usage or settings; 3 fatal: Kafka, the
bundle or the policy cannot be worked with, nothing uncommitted is lost; 4 stopped by force after the grace time; 5
(show) no cached verdict, (explain) none on the topics, (override) none of the chat, or nothing to take back, (feedback)
no such verdict; 6 (show, project, feedback, erase) the cache does not answer; 7 (replay, project, explain, erase)
stopped before its end, run it again, a replay with the same id; also a redrive while an earlier one is unfinished; 8
(replay) at its end, but records were deleted before they were read; 9 (replay) at its end, but records and outcomes do
not balance.
"""

import json
import os
import sys
from typing import Annotated, Any

import structlog
import typer
from rich.console import Console

from model import BundleError, PolicyError
from schemas import RejectionMarker
from worker.app import run_worker
from worker.cache.entries import MAX_VALUE_BYTES
from worker.cache.show import cached_outcome, print_verdict, rejection_text
from worker.conversation.assembly import refuse_unheld
from worker.erase.command import erase
from worker.errors import Degraded, Fatal, SettingsError
from worker.explain.command import explain
from worker.feedback.command import app as feedback_app
from worker.kafka.config import unused_settings
from worker.lists.list_file import read_lists
from worker.overrides.command import app as override
from worker.policy_cost.command import policy_cost
from worker.predictor import Loaded
from worker.process import logs
from worker.process.lifecycle import (
    EXIT_CACHE_AWAY,
    EXIT_FATAL,
    EXIT_NOT_CACHED,
    EXIT_UNEXPECTED,
    EXIT_USAGE,
    Lifecycle,
    exit_now,
)
from worker.process.masking import masked
from worker.process.tuning import give_back_large_blocks, look_for_cycles_rarely
from worker.project.command import project
from worker.reload.verdict_size import refused_for_size
from worker.replay.command import replay
from worker.settings.listing import as_json as listed_as_json
from worker.settings.listing import as_text as listed_as_text
from worker.settings.listing import example_file, listed
from worker.settings.options import ConfigOption
from worker.settings.source import PREFIX, usable_settings
from worker.settings.worker import WorkerSettings
from worker.shadow.assembly import shadow_model
from worker.shadow.command import shadow_report
from worker.simulate.command import policy_commands

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command()(replay)
app.command()(project)
app.command()(explain)
app.command(name="policy-cost")(policy_cost)
app.command()(erase)
app.command(name="shadow-report")(shadow_report)
app.add_typer(policy_commands, name="policy")
app.add_typer(override, name="override")
app.add_typer(feedback_app, name="feedback")


@app.command()
def run(*, config: ConfigOption = None) -> None:
    """Consume chat events and publish verdicts until SIGTERM."""
    settings = usable_settings(os.environ, config)
    logs.configure(settings.log.level)
    lifecycle = Lifecycle(grace_s=settings.shutdown_grace_s)
    lifecycle.install()
    look_for_cycles_rarely()
    give_back_large_blocks()
    log = structlog.get_logger()
    try:
        run_worker(settings, lifecycle)
    except (Fatal, BundleError, PolicyError):
        exit_now(EXIT_FATAL)
    except SettingsError as error:
        log.error("worker_fatal", error=str(error), exit_code=EXIT_USAGE)  # noqa: TRY400  (the same)
        exit_now(EXIT_USAGE)
    except Exception:
        log.exception("worker_crashed", exit_code=EXIT_UNEXPECTED)
        exit_now(EXIT_UNEXPECTED)


@app.command(name="check-config")
def check_config(
    *,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
    example: Annotated[
        bool, typer.Option("--example", help="Print a commented worker.toml with every setting, and check nothing.")
    ] = False,
) -> None:
    """Check the settings, bundles and policies, and print all settings, secrets masked. Connects to nothing.

    All settings are printed even where they are refused, with their defaults then.
    """
    if example:
        typer.echo(example_file(), nl=False)
        return
    checked: dict[str, Any] = {"ok": False}
    settings: WorkerSettings | None = None
    try:
        settings = usable_settings(os.environ, config)
        checked |= _bundle_in_use(settings)
    except (SettingsError, BundleError, PolicyError) as error:
        checked["problems"] = masked(str(error)).splitlines()
        raise
    finally:
        _print_checked(settings, checked, as_json=as_json)


def _bundle_in_use(settings: WorkerSettings) -> dict[str, Any]:
    if settings.lists.path is not None:
        read_lists(settings.lists, settings.lists.path)
    live = Loaded.read(settings.model)
    refuse_unheld(settings.kafka, live)
    shadow = shadow_model(settings)
    for loaded in (live, *([] if shadow is None else [Loaded.read(shadow)])):
        loaded.policies  # noqa: B018  refuses what the bundle's calibration cannot speak for
    if refused := {**refused_for_size(live, MAX_VALUE_BYTES), **live.folder.refused}:
        raise PolicyError("\n".join(refused.values()))
    return {
        "ok": True,
        "model": f"{live.bundle.ref.name} {live.bundle.ref.version}",
        "policy": f"{live.policy.name} {live.policy.version}",
        "policies": [f"{policy.name} {policy.version}" for policy in live.policies.policies],
        "taxonomy": str(live.bundle.taxonomy.ref),
        "calibrated": live.bundle.is_calibrated,
    }


def _print_checked(settings: WorkerSettings | None, checked: dict[str, Any], *, as_json: bool) -> None:
    found = listed(settings)
    unused = {} if settings is None else unused_settings(settings.kafka)
    named = {f"{PREFIX}KAFKA__{name.upper()}": instead for name, instead in unused.items()}
    if as_json:
        typer.echo(json.dumps({"settings": listed_as_json(found), "unused": named, **checked}))
        return
    if settings is None:
        typer.echo("The settings are refused. Their defaults are:")
    typer.echo(listed_as_text(found), nl=False)
    for name, instead in named.items():
        typer.echo(f"unused: {name}: with group_protocol=consumer {instead} counts")
    if checked["ok"]:
        typer.echo(
            "ok: {model} under policy {policy}, taxonomy {taxonomy}".format(**checked)
            + ("" if checked["calibrated"] else ", not calibrated")
        )
        _, *others = checked["policies"]
        if others:
            typer.echo(f"and {len(others)} more policies: {', '.join(others)}")


@app.command()
def show(
    chat_id: Annotated[str, typer.Argument(help="The chat to look up.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as one JSON line.")] = False,
    config: ConfigOption = None,
) -> None:
    """Print a chat's cached verdict."""
    settings: WorkerSettings = usable_settings(os.environ, config)
    if settings.redis.url is None:
        raise SettingsError("MODERATION_REDIS__URL is not set; expected the address of the verdict cache")
    # A person waits longer than the loop does.
    verdict = cached_outcome(settings.redis, chat_id, timeout_s=2.0)
    if verdict is None or isinstance(verdict, RejectionMarker):
        why = "it was not judged within the cache's TTL" if verdict is None else rejection_text(verdict)
        typer.echo(f"error: no cached verdict for chat {chat_id!r}; {why}", err=True)
        raise typer.Exit(EXIT_NOT_CACHED)
    if as_json:
        typer.echo(verdict.model_dump_json())
    else:
        print_verdict(verdict, Console())


def main() -> None:
    """Run the command line and turn errors into exit codes."""
    try:
        app()
    except SettingsError as error:
        typer.echo(f"error: settings: {masked(str(error))}", err=True)
        sys.exit(EXIT_USAGE)
    except (BundleError, PolicyError, Fatal) as error:
        typer.echo(f"error: {masked(str(error))}", err=True)
        sys.exit(EXIT_FATAL)
    except Degraded as error:
        typer.echo(f"error: {masked(str(error))}", err=True)
        sys.exit(EXIT_CACHE_AWAY)


if __name__ == "__main__":
    main()
