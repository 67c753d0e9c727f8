"""Command line of the console.

Settings come from flags, CONSOLE_ environment variables and an optional TOML file (--config); `check-config` lists
them all.

Exit codes: 0 done, or stopped on request; 1 unexpected error, or (openapi --check) a difference; 2 wrong usage or
settings; 3 the bundle or a policy is refused, or (check-config) a bundle of the page, or the model never ends.
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Annotated, Final

import structlog
import typer
from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from console import logs, openapi
from console.app import make_api
from console.checks import check_people, check_pipeline
from console.errors import SettingsError
from console.judging.loading import load_policies
from console.metrics import Metrics
from console.pages import PAGES
from console.pages.try_it.offered import check_offered, without_refused
from console.port.keys import KEY_NAME, new_key
from console.port.roles import Role
from console.port.users import LEAST_CHARACTERS, USER_NAME, PasswordHash
from console.server import serve
from console.service import load_service
from console.settings.console import ConsoleSettings
from console.settings.source import PREFIX, read_settings
from model import BundleError, PolicyError, load_bundle

EXIT_UNEXPECTED: Final = 1
EXIT_USAGE: Final = 2
EXIT_FATAL: Final = 3
_PIPE_COLUMNS: Final = 160

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

ConfigOption = Annotated[Path | None, typer.Option("--config", help="TOML file; flags and environment win over it.")]


@app.command(name="serve")
def serve_command(
    *,
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 picks a free one.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="Bundle folder, or a registry.")] = None,
    policy: Annotated[Path | None, typer.Option(help="The default policy's file.")] = None,
    keys_file: Annotated[Path | None, typer.Option(help="File of hashed API keys.")] = None,
    users_file: Annotated[Path | None, typer.Option(help="File of local users of the pages.")] = None,
    api_only: Annotated[bool | None, typer.Option("--api-only", help="Serve the API and no pages.")] = None,
) -> None:
    """Answer over HTTP until SIGTERM; prints the address first."""
    flags = {
        "http.host": host,
        "http.port": port,
        "http.keys_file": keys_file,
        "http.users_file": users_file,
        "model.path": bundle,
        "model.policy_path": policy,
        "api_only": api_only,
    }
    settings = read_settings(os.environ, config, flags)
    logs.configure(settings.log.level)
    settings = without_refused(settings)
    cause = serve(
        settings, lambda address: _announce(address, settings), () if settings.api_only else PAGES, os.environ
    )
    if cause is not None:
        structlog.get_logger().error("console_fatal", error=cause, exit_code=EXIT_FATAL)
        # The threads that never ended would keep the interpreter from ending.
        os._exit(EXIT_FATAL)


def _announce(address: str, settings: ConsoleSettings) -> None:
    typer.echo(f"listening on {address}")
    if not settings.api_only:
        typer.echo(f"page to try it: {settings.http.address_to_ask(address)}/try")


@app.command(name="check-config")
def check_config(*, config: ConfigOption = None) -> None:
    """Check settings, keys, users, proxy, bundle, policies, the page's bundles, and the pipeline's settings.

    Prints them all; listens on nothing, and asks neither Kafka nor the database.
    """
    settings = read_settings(os.environ, config)
    said = [*check_people(settings), *check_pipeline(settings, os.environ)]
    bundle = load_bundle(settings.model.path, public_key=settings.model.public_key_file)
    rules, refused = load_policies(settings.model, bundle)
    check_offered(settings)
    table = Table(Column("setting", no_wrap=True), Column("value", overflow="fold"), Column("meaning", overflow="fold"))
    _add_rows(table, settings, PREFIX)
    Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS).print(table)
    named = ", ".join(f"{rule.policy.name} {rule.policy.version}" for rule in rules)
    for line in said:
        typer.echo(line)
    if refused:
        # A console that starts goes on without them.
        raise PolicyError("; ".join(refused.values()))
    typer.echo(f"ok: {bundle.ref.name} {bundle.ref.version} under {named}")


def _add_rows(table: Table, section: BaseModel, prefix: str) -> None:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            _add_rows(table, value, f"{prefix}{name.upper()}__")
            continue
        shown = "-" if value is None or value == "" else str(value)
        table.add_row(f"{prefix}{name.upper()}", escape(shown), escape(field.description or ""))


@app.command(name="key")
def make_key(
    name: Annotated[str, typer.Argument(help="Whose it is: stands in logs and metrics.")],
) -> None:
    """Make an API key: prints the entry for the file of keys, and the key, which is stored nowhere."""
    if not re.fullmatch(KEY_NAME, name):
        raise typer.BadParameter(f"{name!r}: expected letters, digits, _, . and -, at most 64", param_hint="NAME")
    key, digest = new_key()
    typer.echo(f'[[keys]]\nname = "{name}"\nsha256 = "{digest}"')
    typer.echo(f"the key, shown this once: {key}", err=True)


@app.command(name="user")
def make_user(
    name: Annotated[str, typer.Argument(help="Who it is: the actor of their decisions.")],
    *,
    role: Annotated[Role, typer.Option(help="What they may do.")],
    queue: Annotated[list[str] | None, typer.Option(help="A review queue that is theirs; again for more.")] = None,
) -> None:
    """Make an entry for the file of users; asks for the password twice, or reads one line from standard input."""
    if not re.fullmatch(USER_NAME, name):
        raise typer.BadParameter(
            f"{name!r}: expected letters, digits, _, ., @, + and -, at most 128", param_hint="NAME"
        )
    if sys.stdin.isatty():
        password = typer.prompt("password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < LEAST_CHARACTERS:
        raise typer.BadParameter(
            f"it has {len(password)} characters; expected at least {LEAST_CHARACTERS}", param_hint="the password"
        )
    # JSON's texts are TOML's.
    lines = [f'name = "{name}"', f'password = "{PasswordHash.of(password)}"', f'role = "{role.value}"']
    if queue:
        lines.append(f"queues = {json.dumps(queue)}")
    typer.echo("\n".join(["[[users]]", *lines]))


@app.command(name="openapi")
def describe(
    *,
    check: Annotated[bool, typer.Option("--check", help="Compare only; exit 1 on a difference.")] = False,
) -> None:
    """Write console/openapi.json from the routes."""
    service = load_service(read_settings({}, None), Metrics())
    found = openapi.encoded(openapi.description_of(make_api(service)))
    if not check:
        openapi.PATH.write_bytes(found)
        return
    if not openapi.PATH.exists() or openapi.PATH.read_bytes() != found:
        typer.echo(f"error: {openapi.PATH} is not what the routes make; run `python -m console openapi`", err=True)
        raise typer.Exit(EXIT_UNEXPECTED)


def main() -> None:
    """Run the command line and turn errors into exit codes."""
    try:
        app()
    except SettingsError as error:
        typer.echo(f"error: settings: {error}", err=True)
        sys.exit(EXIT_USAGE)
    except (BundleError, PolicyError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(EXIT_FATAL)
