"""Command line of the training pipeline; the commands are in `command_line`.

Exit codes: 0 done; 1 unexpected error; 2 wrong usage; 3 the data, the run or the bundle is refused, or the training
extra is not installed.
"""

import sys
from typing import Final

import typer

from model import BundleError, PolicyError
from training_pipeline.data.stage_command import missing_extra

EXIT_REFUSED: Final = 3


def main() -> None:
    """Run the command; turn refusals into one line and an exit code."""
    try:
        # Not before, or a machine without the training extra would get a traceback in place of a remedy.
        from training_pipeline.command_line import app  # noqa: PLC0415

        app()
    except ModuleNotFoundError as error:
        refuse(missing_extra(error))
    except (BundleError, PolicyError, ValueError) as error:
        refuse(str(error))


def refuse(cause: str) -> None:
    """Say why a command ends, and end."""
    typer.echo(f"error: {cause}", err=True)
    sys.exit(EXIT_REFUSED)


if __name__ == "__main__":
    main()
