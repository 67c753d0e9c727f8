"""An interpreter of its own for the peer applications: a virtual environment in the user's cache folder.

Its versions are pinned with hashes in `peers/requirements.lock`. They cannot be an extra of this project, because Quix
Streams excludes the versions of confluent-kafka and pydantic that the worker has.

Invariant: an environment reaches its final name by one rename, when it is complete.
"""

import hashlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import orjson
from platformdirs import user_cache_path

from loadtest.errors import LoadTestError

_LOCK_FILE: Final = Path(__file__).parents[1] / "peers" / "requirements.lock"
_INSTALL_TIMEOUT_S: Final = 900.0
_SHARED: Final = ("numpy", "onnxruntime", "tokenizers")
"""What decides how fast and how a chat is classified; both sides must have the same."""
_SHOW_VERSIONS: Final = (
    "import importlib.metadata as m, json; print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
)


def peer_python() -> Path:
    """Return the interpreter of the peer applications; makes its environment where there is none yet.

    Raises:
        LoadTestError: it cannot be installed.
    """
    found = _LOCK_FILE.read_bytes() + platform.python_version().encode() + platform.machine().encode()
    cache = user_cache_path("verdictstream") / "loadtest-peers"
    folder = cache / hashlib.sha256(found).hexdigest()[:12]
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="making-", dir=cache) as name:
            _install(Path(name) / "environment")
            _publish(Path(name) / "environment", folder)
    return folder / "bin" / "python"


def versions(python: Path) -> dict[str, str]:
    """Return the versions of everything installed beside that interpreter, by name.

    Raises:
        LoadTestError: a package that decides on speed has another version than here.
    """
    done = subprocess.run([python, "-c", _SHOW_VERSIONS], capture_output=True, text=True, check=False)  # noqa: S603  our own line
    if done.returncode:
        raise LoadTestError(f"{python}: does not run ({done.stderr[-500:]}); remove its folder and start again")
    found: dict[str, str] = orjson.loads(done.stdout)
    for package in _SHARED:
        if found.get(package) != (ours := importlib.metadata.version(package)):
            raise LoadTestError(
                f"{package} is {found.get(package)} for the peers and {ours} for the worker; expected the same; "
                f"lock {_LOCK_FILE} again, or install this project from its lock"
            )
    return found


def _install(folder: Path) -> None:
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([sys.executable, "-m", "venv", str(folder)], [*pip, "--require-hashes", "-r", str(_LOCK_FILE)]):
        try:
            done = subprocess.run(  # noqa: S603  our own command lines
                command, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise LoadTestError(
                f"the peers' environment was not installed within {_INSTALL_TIMEOUT_S:.0f} s"
            ) from error
        if done.returncode:
            raise LoadTestError(
                f"the peers' environment cannot be installed: {(done.stderr or done.stdout).strip()[-1_000:]}; "
                "it needs a package index; `compare --no-others` goes without"
            )


def _publish(made: Path, folder: Path) -> None:
    try:
        os.rename(made, folder)  # noqa: PTH104  one step, or an error where another process was first
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(made)
