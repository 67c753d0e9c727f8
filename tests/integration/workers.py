"""Workers and other commands of this checkout, with exactly the settings of a test."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from testkit.worker_process import WorkerProcess, child_environment

REPOSITORY = Path(__file__).parents[2]


def worker_process(settings: Mapping[str, str], log_path: Path, arguments: Sequence[str] = ("run",)) -> WorkerProcess:
    """Start `python -m worker`; see `WorkerProcess`."""
    return WorkerProcess(_environment(settings), log_path, arguments, cwd=REPOSITORY)


def run_command(
    *arguments: str, settings: Mapping[str, str], module: str = "worker", timeout_s: float = 90
) -> "subprocess.CompletedProcess[str]":
    """Run one command of a module, by default `python -m worker`, to its end."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=REPOSITORY,
        env=_environment(settings),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    return child_environment(os.environ, {**settings, "COLUMNS": "200"})
