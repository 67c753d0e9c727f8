"""The stage alone, as `python -m training_pipeline.synthesise`: no torch needed."""

import sys
from typing import Final

import typer

from training_pipeline.synthesise.commands import app

EXIT_REFUSED: Final = 3


def main() -> None:
    """Run the command; turn refusals into one line and an exit code."""
    try:
        app()
    except ValueError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(EXIT_REFUSED)


if __name__ == "__main__":
    main()
