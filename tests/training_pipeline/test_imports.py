"""Commands that train nothing neither wait for torch nor need it."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "module",
    ["training_pipeline.command_line", "training_pipeline.bundle.export", "training_pipeline.quality.evaluate"],
)
def test_torch_is_not_imported_before_it_is_needed(module: str) -> None:
    """Seconds of every `--help`, and 5 GB that `evaluate` of a bundle has no use for."""
    code = f"import sys, {module}; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr
