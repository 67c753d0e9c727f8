"""Options of the commands that look into a bundle, or time it."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

_DEFAULT_BUNDLE: Final = Path(__file__).parents[2] / "model" / "bundles" / "default"

ThreadsOption = Annotated[int, typer.Option("--threads", min=0, help="Inference threads; 0 takes one per usable CPU.")]
BundleOption = Annotated[
    Path | None,
    typer.Option("--bundle", help="Bundle folder.", show_default="MODERATION_MODEL__PATH, else the shipped bundle"),
]
PaddedTokensOption = Annotated[int, typer.Option(min=1, help="Padded tokens of one inference of the baseline session.")]
RowsOption = Annotated[int, typer.Option(min=1, help="Rows of one inference of the baseline session.")]


def chosen_bundle(named: Path | None) -> Path:
    """Return the named bundle folder, or the worker's, absolute."""
    return (named or Path(os.environ.get("MODERATION_MODEL__PATH", _DEFAULT_BUNDLE))).resolve()


def chosen_threads(named: int) -> int:
    """Return the named number of threads, or one per usable CPU."""
    return named or len(os.sched_getaffinity(0))
