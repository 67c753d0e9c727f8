"""Command line of the console; the commands are in `command_line`.

Exit codes: those of `command_line`; 2 also where the console extra is not installed.
"""

import sys

import typer


def main() -> None:
    """Run the command; name the extra where it is missing."""
    try:
        # Not before, or a machine without the extra would get a traceback in place of a remedy.
        from console.command_line import main as run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        missing = (error.name or "a package").partition(".")[0]
        if missing in {"console", "model", "schemas"}:
            raise
        typer.echo(f"error: {missing} is not installed; expected the console extra; run `make setup-console`", err=True)
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
