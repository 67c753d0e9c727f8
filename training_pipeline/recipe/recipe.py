"""Run a recipe: every stage whose inputs, arguments or code changed, in order.

Invariant: a stage is skipped only where running it again would write what is there.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from rich.console import Console
from rich.table import Table

from model.bundle.policy_file import PolicyError
from model.errors import BundleError
from training_pipeline.recipe.code import code_digest
from training_pipeline.recipe.config import Recipe
from training_pipeline.recipe.stages import Task, tasks_of
from training_pipeline.recipe.state import (
    RecipeState,
    StageState,
    arguments_digest,
    path_digest,
    paths_digest,
)


class Outcome(StrEnum):
    """What became of a stage."""

    SKIPPED = "unchanged"
    DONE = "done"
    FAILED = "FAILED"
    PLANNED = "would run"
    NOT_REACHED = "not reached"


@dataclass(frozen=True)
class StageOutcome:
    """One line of the table."""

    stage: str
    outcome: Outcome
    why: str
    seconds: float = 0.0
    summary: str = ""


def run_recipe(
    recipe: Recipe,
    console: Console,
    *,
    dry_run: bool = False,
    from_stage: str | None = None,
    ignore_code: bool = False,
) -> list[StageOutcome]:
    """Run a recipe and return what became of each stage.

    Args:
        recipe: What to do.
        console: For the stages' own tables.
        dry_run: Only say what would run.
        from_stage: Run this stage and those after it, changed or not.
        ignore_code: Do not run a stage again only because the project's code changed.

    Raises:
        ValueError: the recipe does not fit together, or names no such stage.
        RecipeFailed: a stage refused its input; holds the outcomes, and the error as its cause.
    """
    tasks = tasks_of(recipe, console)
    names = [task.name for task in tasks]
    if from_stage is not None and from_stage not in names:
        raise ValueError(f"--from {from_stage}: the recipe has no such stage; expected one of {', '.join(names)}")
    forced = names[names.index(from_stage) :] if from_stage is not None else []
    if not dry_run:
        recipe.work.mkdir(parents=True, exist_ok=True)
    runner = _Runner(recipe, RecipeState.read(recipe.work), forced, ignore_code=ignore_code)
    outcomes: list[StageOutcome] = []
    for position, task in enumerate(tasks):
        why = runner.why(task, outcomes)
        if why is None:
            outcomes.append(
                StageOutcome(task.name, Outcome.SKIPPED, "", summary=runner.state.stages[task.name].summary)
            )
        elif dry_run:
            outcomes.append(StageOutcome(task.name, Outcome.PLANNED, why))
        else:
            console.rule(f"{task.name}: {why}", align="left")
            started = time.perf_counter()
            failed = StageOutcome(task.name, Outcome.FAILED, why)
            try:
                summary = runner.run(task)
            except (ValueError, BundleError, PolicyError, OSError) as error:
                rest = [StageOutcome(later.name, Outcome.NOT_REACHED, "") for later in tasks[position + 1 :]]
                lines = [*outcomes, replace(failed, seconds=time.perf_counter() - started), *rest]
                raise RecipeFailed(lines) from error
            outcomes.append(StageOutcome(task.name, Outcome.DONE, why, time.perf_counter() - started, summary))
    return outcomes


class RecipeFailed(Exception):  # noqa: N818  the name says what happened
    """A stage refused its input. What was done before it stays done.

    Args:
        outcomes: Of every stage.
    """

    def __init__(self, outcomes: list[StageOutcome]) -> None:
        super().__init__("a stage of the recipe failed")
        self.outcomes = outcomes


@dataclass(frozen=True)
class _Runner:
    recipe: Recipe
    state: RecipeState
    forced: Sequence[str]
    ignore_code: bool

    def why(self, task: Task, before: Sequence[StageOutcome]) -> str | None:
        """Return why a stage has to run; None where it has not."""
        if task.name in self.forced:
            return "asked for with --from"
        known = self.state.stages.get(task.name)
        if known is None:
            return "did not run yet"
        planned = [outcome.stage for outcome in before if outcome.outcome is Outcome.PLANNED]
        if planned:
            return f"comes after {planned[-1]}"
        inputs = paths_digest(task.inputs)
        code = known.code if self.ignore_code else code_digest(task.code)
        return known.what_changed(arguments_digest(task.arguments), inputs or "missing", code)

    def run(self, task: Task) -> str:
        """Run a stage and record it."""
        missing = [str(path) for path in task.inputs if path_digest(path) is None]
        if missing:
            raise ValueError(f"{task.name}: {', '.join(missing)} not there; expected the input files and folders")
        # Forgotten first: where the stage is killed half-way, its old state must not vouch for new outputs.
        self.state.stages.pop(task.name, None)
        self.state.write(self.recipe.work)
        inputs = paths_digest(task.inputs) or "missing"
        summary = task.run()
        outputs = {str(path): path_digest(path) or "missing" for path in task.outputs}
        self.state.stages[task.name] = StageState(
            arguments=arguments_digest(task.arguments),
            inputs=inputs,
            code=code_digest(task.code),
            outputs=outputs,
            summary=summary,
        )
        self.state.write(self.recipe.work)
        return summary


def print_outcomes(outcomes: Sequence[StageOutcome], console: Console) -> None:
    """Print the table for people."""
    table = Table("stage", "outcome", "why", title="Recipe")
    table.add_column("seconds", justify="right")
    table.add_column("result")
    for line in outcomes:
        seconds = f"{line.seconds:.1f}" if line.seconds else ""
        table.add_row(line.stage, line.outcome.value, line.why, seconds, line.summary)
    console.print(table)
