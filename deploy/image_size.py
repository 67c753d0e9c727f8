"""Take the Dockerfile's steps without Docker, and say how large what they add to the base image is.

It installs the image's lock into a temporary folder, which takes minutes. Prints a table and, last, one JSON line.

Exit codes: 0 measured; 1 a step failed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[1]
IMAGES: Final = ("worker", "console")
_LOCKS: Final = {"worker": "requirements-serving.lock", "console": "requirements-console.lock"}
_FOLDERS: Final = {"worker": ("schemas", "model", "worker"), "console": ("schemas", "model", "worker", "console")}
_UNWANTED: Final = {
    "torch",
    "transformers",
    "onnx",
    "pip",
    "setuptools",
    "pytest",
    "openai",
    "googleapiclient",
    "playwright",
}
_STEP_LIMIT_S: Final = 900


class ImageStepError(Exception):
    """A step of the Dockerfile does not work outside a container; holds found, expected and remedy."""


def take_steps(target: Path, image: str) -> dict[str, int]:
    """Build `opt/venv` and `app` under the target folder, start the image's command line from there, and measure.

    Args:
        target: An empty folder.
        image: One of IMAGES.

    Returns:
        Bytes of `venv` and `app`, and their sum `added`.

    Raises:
        ImageStepError: a step fails, or something is there that must not be.
    """
    venv, app = target / "opt" / "venv", target / "app"
    python = venv / "bin" / "python"
    _step("make the environment", [sys.executable, "-m", "venv", "--without-pip", str(venv)])
    lock = str(_ROOT / _LOCKS[image])
    install = ["install", "--quiet", "--require-hashes", "--only-binary", ":all:", "-r", lock]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    _step(f"install {_LOCKS[image]}", [*pip, *install])
    app.mkdir()
    for folder in _FOLDERS[image]:
        shutil.copytree(_ROOT / folder, app / folder, ignore=shutil.ignore_patterns("__pycache__"))
    _step("compile", [str(python), "-m", "compileall", "-q", *_FOLDERS[image]], cwd=app)
    _check(venv, python, app, image)
    sizes = {"venv": _size_bytes(venv), "app": _size_bytes(app)}
    return sizes | {"added": sum(sizes.values())}


def _check(venv: Path, python: Path, app: Path, image: str) -> None:
    packages = {path.name for path in venv.glob("lib/python*/site-packages/*")}
    unwanted = packages & _UNWANTED
    if unwanted:
        raise ImageStepError(
            f"found {', '.join(sorted(unwanted))} in the image's environment; expected what serves only"
        )
    # Nothing of this checkout or its environment may help.
    environment = {"PATH": "", "MODERATION_KAFKA__BOOTSTRAP_SERVERS": "nowhere:9092"}
    if image == "console":
        database = {"CONSOLE_PIPELINE__IS_ON": "true", "CONSOLE_STORE__URL": "postgresql+psycopg://nobody@nowhere/none"}
        environment |= database
    _step(f"start the {image}'s command line", [str(python), "-m", image, "check-config"], cwd=app, env=environment)


def _step(name: str, command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(  # noqa: S603 - the fixed commands of this file
        command,
        cwd=cwd,
        env=env or dict(os.environ),
        capture_output=True,
        text=True,
        timeout=_STEP_LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise ImageStepError(
            f"{name}: exit code {done.returncode}: {(done.stderr or done.stdout)[-1_000:].strip()}; "
            "expected the step of deploy/Dockerfile to work; run it by hand"
        )


def _size_bytes(folder: Path) -> int:
    """Return what the files take, links not followed."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def main() -> int:
    """Print the sizes."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.image_size", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("image", nargs="?", choices=IMAGES, default="worker", help="which one; the worker's by default")
    image = parser.parse_args().image
    try:
        with tempfile.TemporaryDirectory(prefix="verdictstream-image-") as folder:
            sizes = take_steps(Path(folder), image)
    except ImageStepError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    for name, n_bytes in sizes.items():
        sys.stdout.write(f"{name:<8} {n_bytes / 1e6:8.1f} MB\n")
    sys.stdout.write(json.dumps({f"{name}_bytes": n_bytes for name, n_bytes in sizes.items()}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
