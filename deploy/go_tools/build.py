"""Builds through the Go module proxy, kept in the user's cache folder.

Invariant: a tool or file reaches its final name by one atomic rename, under a name that holds its version, so that
neither an interrupted build nor a second process can leave half of one behind.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock
from platformdirs import user_cache_path

_BUILD_LIMIT_S: Final = 1_500
"""A cold build takes minutes on two slow cores; one that hangs must end before CI does."""
_DOWNLOAD_LIMIT_S: Final = 300
_SHOWN_CHARACTERS: Final = 2_000


class GoToolError(Exception):
    """A tool cannot be built or a file cannot be fetched; holds found, expected and remedy."""


@dataclass(frozen=True)
class GoTool:
    """A program inside a Go module."""

    module: str
    package: str
    version: str
    tags: str = ""
    """Build tags."""

    @property
    def name(self) -> str:
        """The program's name."""
        return self.package.rpartition("/")[2]

    @property
    def file_name(self) -> str:
        """The program's name in the cache: another version or other tags are another file."""
        return "-".join(filter(None, [self.name, self.version, self.tags]))


@dataclass(frozen=True)
class ModuleFile:
    """A file inside a Go module."""

    module: str
    version: str
    path: str


def default_cache_dir() -> Path:
    """Return the folder inside the user's cache folder that holds tools and files."""
    return Path(user_cache_path("verdictstream")) / "go-tools"


def ensure_tool(tool: GoTool, cache_dir: Path | None = None) -> Path:
    """Return the program's path, building it where the cache lacks it (minutes, once).

    Raises:
        GoToolError: there is no Go compiler, or the build fails or takes too long.
    """
    folder = cache_dir or default_cache_dir()
    target = folder / tool.file_name
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{target.name}.lock"):
        # Another process may have built it while this one waited.
        if not target.exists():
            # Kept after a failure, so that a build that was cut on a busy machine goes on where it was.
            scratch = folder / f".build-{target.name}"
            scratch.mkdir(exist_ok=True)
            source = f"{tool.module}/{tool.package}@{tool.version}"
            _go(scratch, "install", f"-tags={tool.tags}", source, limit_s=_BUILD_LIMIT_S)
            (scratch / "bin" / tool.name).replace(target)
            shutil.rmtree(scratch)
    return target


def ensure_file(wanted: ModuleFile, cache_dir: Path | None = None) -> Path:
    """Return the path of a copy of the file, downloading its module where the cache lacks it.

    Raises:
        GoToolError: there is no Go compiler, the module cannot be fetched, or it has no such file.
    """
    folder = cache_dir or default_cache_dir()
    target = folder / f"{wanted.module.replace('/', '_')}@{wanted.version}" / Path(wanted.path).name
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".module-") as scratch:
        listed = _go(
            Path(scratch), "mod", "download", "-json", f"{wanted.module}@{wanted.version}", limit_s=_DOWNLOAD_LIMIT_S
        )
        member = f"{wanted.module}@{wanted.version}/{wanted.path}"
        try:
            with zipfile.ZipFile(json.loads(listed)["Zip"]) as archive:
                content = archive.read(member)
        except KeyError as error:
            raise GoToolError(
                f"{wanted.module}@{wanted.version} holds no {wanted.path}; expected the file at that path; "
                "look where that version keeps it and change deploy/go_tools/pins.py"
            ) from error
        partial = Path(scratch) / target.name
        partial.write_bytes(content)
        partial.replace(target)
    return target


def _go(scratch: Path, *arguments: str, limit_s: float) -> str:
    """Run Go with caches of its own, which go away with the scratch folder; return its standard output."""
    environment = os.environ | {
        "GOPATH": str(scratch / "path"),
        "GOMODCACHE": str(scratch / "modules"),
        "GOCACHE": str(scratch / "build"),
        "GOBIN": str(scratch / "bin"),
        # Go writes its module cache read-only, and a scratch folder must be removable.
        "GOFLAGS": "-modcacherw -trimpath",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    command = [_compiler(), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - Go and the pinned arguments of this package
            command, cwd=scratch, env=environment, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise GoToolError(
            f"`go {' '.join(arguments)}` did not end within {limit_s} s; expected a few minutes at most; "
            "run it again, a build goes on where it was"
        ) from error
    if done.returncode:
        raise GoToolError(
            f"`go {' '.join(arguments)}` ended with {done.returncode}: {done.stderr[-_SHOWN_CHARACTERS:].strip()}; "
            "expected a build through the Go module proxy; check GOPROXY and the network"
        )
    return done.stdout


def _compiler() -> str:
    """Return the Go compiler of this Python environment, else the machine's."""
    found = shutil.which("go", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if found is None:
        raise GoToolError(
            "no `go` in this Python environment nor on PATH; expected the one that the dev extra brings; "
            "run `make setup`"
        )
    return found
