"""Fixtures of the local stack's tests: one shared stack on bundled programs, one CLI runner."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local import LocalStack
from deploy.local.jars import default_cache_dir, ensure_jars, load_lock

REPOSITORY = Path(__file__).parents[3]
CLI_TIMEOUT_S = 120
NOWHERE = "http://127.0.0.1:9"  # the discard port: a proxy that refuses every connection

RunCli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def warm_cache() -> Path:
    """Return the cache folder with every jar in it; the first run on a machine downloads them."""
    ensure_jars(load_lock(), default_cache_dir())
    return default_cache_dir()


@pytest.fixture(scope="session")
def stack(warm_cache: Path) -> Iterator[LocalStack]:
    """Start one stack where no Java and no Redis are on PATH, so the bundled ones are used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        patch.delenv("JAVA_HOME", raising=False)
        running = LocalStack(cache_dir=warm_cache)
        running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def run_cli() -> RunCli:
    """Return a function that runs `python -m deploy.local` where no network can be reached."""

    def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        environ = {**os.environ, "HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE, "NO_PROXY": ""}
        return subprocess.run(
            [sys.executable, "-m", "deploy.local", *map(str, arguments)],
            cwd=REPOSITORY,
            env=environ,
            capture_output=True,
            text=True,
            timeout=CLI_TIMEOUT_S,
            check=False,
        )

    return run
