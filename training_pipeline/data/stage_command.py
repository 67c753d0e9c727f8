"""Run a stage's commands where torch is not installed: refusals become one line and an exit code."""

import sys
from typing import Final

import typer

EXIT_REFUSED: Final = 3


def run_stage(app: typer.Typer) -> None:
    """Run the command that the arguments name, and end with 3 where its input is refused."""
    try:
        app()
    except ValueError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(EXIT_REFUSED)
