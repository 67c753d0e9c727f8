"""How the demos' commands end: signals unwind, errors become exit codes."""

import signal
import sys
from typing import Final, NoReturn

import typer

from deploy.demo.errors import DemoError, EventsError, ModelRefusedError
from deploy.local import LocalStackError

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2


def run_command(app: typer.Typer) -> None:
    """Run a command line and turn errors into exit codes."""
    # A closed terminal or a stopped CI job unwinds like Ctrl-C does, also where a shell started us with Ctrl-C ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        app()
    except (EventsError, ModelRefusedError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(EXIT_USAGE)
    except (DemoError, LocalStackError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(EXIT_FAILED)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
