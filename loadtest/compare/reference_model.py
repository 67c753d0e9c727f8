"""The reference model's file: built once, kept in the user's cache folder under a name that holds its recipe's digest.

`training_pipeline` writes the graph. Neither it nor onnx may be imported here, so that happens in its own process.
"""

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

from loadtest.errors import LoadTestError

REFERENCE_TOKENS: Final = 512
"""The width of the reference path; the model has positions for no more."""

_REPOSITORY: Final = Path(__file__).parents[2]
_RECIPE: Final = ("reference_graph", "onnx_graph", "distilbert_weights")


def reference_model(python: Path) -> Path:
    """Return the reference model; builds it where there is none yet.

    Args:
        python: An interpreter with onnx and onnxruntime.

    Raises:
        LoadTestError: it cannot be built.
    """
    sources = [_REPOSITORY / "training_pipeline" / "graph" / f"{name}.py" for name in _RECIPE]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    cache = user_cache_path("verdictstream") / "loadtest-reference"
    path = cache / f"distilbert-base-int8-{digest}.onnx"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="making-", dir=cache) as folder:
            made = Path(folder) / path.name
            _build(python, made)
            # One step, so that a second process never sees half a file.
            made.replace(path)
    return path


def _build(python: Path, path: Path) -> None:
    done = subprocess.run(  # noqa: S603  this project's own command line
        [python, "-m", "training_pipeline.graph.reference_graph", path],
        env={**os.environ, "PYTHONPATH": str(_REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LoadTestError(
            f"the reference model cannot be built (exit code {done.returncode}): {done.stderr.strip()[-1_000:]}"
        )
