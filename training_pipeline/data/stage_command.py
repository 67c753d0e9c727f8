"""Run a stage's commands where torch is not installed: refusals become one line and an exit code."""

import sys
from typing import Final

import typer

EXIT_REFUSED: Final = 3
_OWN: Final = ("schemas", "model", "training_pipeline")


def run_stage(app: typer.Typer) -> None:
    """Run the command that the arguments name, and end with 3 where its input is refused or a package is missing."""
    try:
        app()
    except ModuleNotFoundError as error:
        typer.echo(f"error: {missing_extra(error)}", err=True)
        sys.exit(EXIT_REFUSED)
    except ValueError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(EXIT_REFUSED)


def missing_extra(error: ModuleNotFoundError) -> str:
    """Return what a person without the training extra is told.

    Raises:
        ModuleNotFoundError: what is missing is a module of ours, which no extra brings.
    """
    missing = (error.name or "a package").partition(".")[0]
    if missing in _OWN:
        raise error
    return f"{missing} is not installed; expected the training extra; run `make setup-training`"
