"""`python -m deploy.demo`: chats in, verdicts out, on a real Kafka and a real Redis that live as long as the demo."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from deploy.demo.command_end import EXIT_FAILED, run_command
from deploy.demo.events import make_plan, read_lines
from deploy.demo.model_in_use import BUNDLE_SETTING, POLICY_SETTING, read_model
from deploy.demo.report import print_problems, print_summary
from deploy.demo.session import Options, Result, run_session
from deploy.demo.shown_chats import chats_to_show

EXIT_INTERRUPTED: Final = 130

_LOG_COLUMNS: Final = 120

SAMPLE: Final = Path(__file__).parents[2] / "data" / "sample" / "chats.jsonl"

app = typer.Typer(
    name="python -m deploy.demo",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.command()
def demo(
    *,
    events: Annotated[
        Path,
        typer.Option(
            help="Chat events, one JSON object per line, each published as it is; a bad one ends as a dead letter.",
            show_default="the sample chats of the repository",
        ),
    ] = SAMPLE,
    limit: Annotated[int | None, typer.Option(min=1, help="Take only the first lines of the file.")] = None,
    events_per_s: Annotated[
        float, typer.Option(min=0.1, max=100, help="Pace of the phase that measures latency, events per second.")
    ] = 10.0,
    stall_timeout_s: Annotated[
        float, typer.Option(min=1, help="Give up when no answer comes for longer, seconds.")
    ] = 60.0,
    bundle: Annotated[
        Path | None,
        typer.Option(
            help="Bundle folder or registry, of any taxonomy.",
            show_default="MODERATION_MODEL__PATH, or the shipped one",
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            help="Policy file over the bundle's taxonomy.",
            show_default="MODERATION_MODEL__POLICY_PATH, or the bundle's own policy",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Chooses which chats grow, are repeated or come later.")] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the numbers as one JSON line; what is for people goes to stderr.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option(dir_okay=False, writable=True, help="Write the numbers into this file, as JSON.")
    ] = None,
) -> None:
    """Publish chats, let a worker judge them, show the verdicts and the numbers, and leave nothing running.

    Besides the chats, some malformed records, repeats and grown conversations are published: first most of it at once
    (throughput), then the rest one event at a time (latency). Every published event is looked for among the verdicts
    and dead letters, which are read as the ad pipeline reads them (read_committed). Five chats of the sample are shown
    with their text; no text of another events file is.

    The worker takes MODERATION_MODEL__ variables from the environment, such as MODERATION_MODEL__N_THREADS; the demo
    sets its other settings.

    Exit codes: 0 every event ended as exactly one verdict or dead letter; 1 it did not, or something could not be
    started: the reason and the end of the worker's log are on stderr; 2 wrong usage, an events file that cannot be
    read, or a bundle or policy that is refused; 130 interrupted.
    """
    started = time.perf_counter()
    # Where no terminal tells a width, a log viewer's is assumed.
    shown_on = sys.stderr if as_json else sys.stdout
    console = Console(file=shown_on, width=None if shown_on.isatty() else _LOG_COLUMNS)
    lines = read_lines(events, limit=limit)
    chosen = {BUNDLE_SETTING: bundle, POLICY_SETTING: policy}
    environment = {**os.environ, **{name: str(path) for name, path in chosen.items() if path is not None}}
    model = read_model(environment)
    plan = make_plan(lines, seed=seed, codes=model.taxonomy.codes)
    options = Options(
        events_per_s=events_per_s,
        stall_timeout_s=stall_timeout_s,
        model=model,
        environment=environment,
        shown=chats_to_show(lines) if events == SAMPLE else (),
    )
    try:
        result = run_session(plan, options, console)
    except KeyboardInterrupt:
        typer.echo("interrupted; the worker, Kafka and Redis are stopped", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if result.summary.n_answers:
        print_summary(console, result.summary, model, result.example, result.shown)
    console.print("the worker, Kafka and Redis are stopped", highlight=False)
    sys.stdout.flush()
    if result.failure is not None:
        typer.echo(f"error: {result.failure}", err=True)
        print_problems(Console(stderr=True, soft_wrap=True), result.problems)
    numbers = json.dumps(_numbers(result, total_s=time.perf_counter() - started))
    if as_json:
        typer.echo(numbers)
    if json_file is not None:
        json_file.write_text(f"{numbers}\n", encoding="utf-8")
    if result.failure is not None:
        raise typer.Exit(EXIT_FAILED)


def _numbers(result: Result, *, total_s: float) -> dict[str, object]:
    """Return what machines read."""
    verdict = result.example
    return {
        "ok": result.failure is None,
        **result.summary.as_json(),
        "model": None if verdict is None else verdict.model.model_dump(mode="json"),
        "policy": None if verdict is None else verdict.policy.model_dump(mode="json"),
        "taxonomy": None if verdict is None else verdict.taxonomy.model_dump(mode="json"),
        "total_s": round(total_s, 1),
    }


def main() -> None:
    """Run the command line."""
    run_command(app)


if __name__ == "__main__":
    main()
