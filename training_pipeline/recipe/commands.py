"""The command that runs a whole recipe."""

from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

app = typer.Typer()


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="YAML file, such as recipes/smoke.yaml.")],
    *,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="dotted.name=value in place of the file's, such as data.train=PATH; may be repeated."
        ),
    ] = None,
    from_stage: Annotated[
        str | None, typer.Option("--from", help="Run this stage and those after it, changed or not.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would run, and why.")] = False,
    ignore_code: Annotated[
        bool, typer.Option("--ignore-code", help="Do not run a stage again only because the project's code changed.")
    ] = False,
) -> None:
    """Run a recipe: extract, preprocess, label, agree, split, train, distil, calibrate, export, evaluate, promote.

    Stages whose inputs, arguments and code are unchanged are skipped. Exit codes: 0 done; 1 unexpected error;
    3 refused, or a stage failed: the table says which.
    """
    from training_pipeline.recipe.config import read_recipe  # noqa: PLC0415
    from training_pipeline.recipe.recipe import RecipeFailed, print_outcomes, run_recipe  # noqa: PLC0415

    console = Console(stderr=True, width=160)
    wanted = read_recipe(recipe, settings or [])
    try:
        outcomes = run_recipe(wanted, console, dry_run=dry_run, from_stage=from_stage, ignore_code=ignore_code)
    except RecipeFailed as failed:
        print_outcomes(failed.outcomes, console)
        if failed.__cause__ is not None:
            raise failed.__cause__ from None
        raise
    print_outcomes(outcomes, console)
    stages = {line.stage: {"outcome": line.outcome.value, "result": line.summary} for line in outcomes}
    typer.echo(orjson.dumps({"recipe": recipe.name, "work": str(wanted.work), "stages": stages}).decode())
