"""`python -m deploy.console_demo`: the console over a pipeline of its own, until Ctrl-C."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from deploy.console_demo.session import Options, run
from deploy.console_demo.traffic import endless
from deploy.demo.__main__ import SAMPLE
from deploy.demo.command_end import run_command
from deploy.demo.events import read_lines

_WORK: Final = Path(__file__).parents[2] / "work"

app = typer.Typer(
    name="python -m deploy.console_demo",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.command()
def console_demo(
    *,
    events_per_s: Annotated[
        float, typer.Option(min=0.1, max=100, help="How many records flow in, a second; a conversation is several.")
    ] = 3.0,
    n_events: Annotated[
        int | None, typer.Option(min=0, help="Let no more flow in after so many.", show_default="without end")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The console's port; 0 picks a free one.")] = 8088,
    seed: Annotated[int, typer.Option(help="Chooses the order of the chats.")] = 1,
    work: Annotated[
        Path,
        typer.Option(file_okay=False, help="Gets a new folder for the database and the logs.", show_default="work"),
    ] = _WORK,
) -> None:
    """Start Kafka, Redis, a worker with every topic on, and the console; let the sample chats flow in; print the pages.

    Chats grow question by question; about one record in sixty is malformed. When all chats were told, they come again
    under new ids. On loopback nobody logs in: everybody is `local`, and may do everything.

    Worker and console take MODERATION_MODEL__ variables from the environment, the console its CONSOLE_ variables too.

    Exit codes: 0 ended by Ctrl-C or SIGTERM, nothing is left running; 1 something could not be started or has ended by
    itself: the reason and the logs' ends are on stderr; 2 wrong usage.
    """
    options = Options(events_per_s=events_per_s, port=port, work=work, environment=os.environ, n_events=n_events)
    try:
        run(endless(read_lines(SAMPLE, limit=None), seed=seed), options, typer.echo)
    except KeyboardInterrupt:
        typer.echo("console, worker, Kafka and Redis are stopped")


def main() -> None:
    """Run the command line."""
    run_command(app)


if __name__ == "__main__":
    main()
