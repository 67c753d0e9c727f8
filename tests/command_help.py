"""Every `python -m X` of the repository, found by its guard, and what it prints when it is asked for help."""

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[1]
_PACKAGES: Final = (
    "schemas",
    "model",
    "worker",
    "console",
    "testkit",
    "loadtest",
    "deploy",
    "training_pipeline",
    "tests",
)
_OF_ANOTHER_ENVIRONMENT: Final = {
    "loadtest.peers.bytewax_flow",
    "loadtest.peers.faust_streaming",
    "loadtest.peers.quix_streams",
}
"""Applications of other frameworks, which `loadtest compare` starts in an environment of their own."""
WITH_CONSOLE: Final = (
    "console",
    "tests.console.intake.reading",
    "tests.console.pages.picture",
    "tests.console.pages.review.picture",
)
"""Need the console extra."""
WITH_TRAINING: Final = ("training_pipeline", "training_pipeline.graph.reference_graph")
"""Need the training extra."""


def _is_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)


def commands() -> list[str]:
    """Return every module that does something when it is run."""
    paths = [path for package in _PACKAGES for path in sorted((_ROOT / package).rglob("*.py"))]
    guarded = [path for path in paths if any(map(_is_guard, ast.parse(path.read_text("utf-8")).body))]
    names = [".".join(path.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__main__") for path in guarded]
    return [name for name in names if name not in _OF_ANOTHER_ENVIRONMENT]


def run_python(arguments: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run Python on this checkout, in another folder."""
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def check_help(name: str, folder: Path) -> None:
    """Check that a command prints its usage and does nothing else.

    Args:
        name: The module.
        folder: An empty one, in which it is run.
    """
    done = run_python(["-m", name, "--help"], folder)
    assert done.returncode == 0, done.stderr
    assert "usage: " in done.stdout.lower()
    assert not done.stderr
    assert list(folder.iterdir()) == []
