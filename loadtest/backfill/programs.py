"""The command over Parquet and the Spark job, started as a person starts them; an executor that is killed."""

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import psutil

from deploy.local.java import bundled_java, find_java
from loadtest.errors import LoadTestError
from testkit.errors import HarnessError
from testkit.waiting import wait_until

_EXECUTOR: Final = "CoarseGrainedExecutorBackend"
_AT_WORK_S: Final = 4.0
"""CPU seconds of an executor's Python processes: past the loading of the bundle."""
_TIMEOUT_S: Final = 3_600.0
_TAIL_CHARACTERS: Final = 3_000
_EXECUTOR_MB: Final = 1_024
BUNDLE_SETTING: Final = "MODERATION_MODEL__PATH"


def classify_parquet(archive: Path, out: Path, *, n_threads: int) -> float:
    """Judge an archive with the command; return the seconds that it took, its start included."""
    started = time.perf_counter()
    arguments = ["-m", "model", "classify", "--parquet", archive, "--out", out, "--threads", n_threads]
    _finished(_started(arguments, out.with_suffix(".log")))
    return time.perf_counter() - started


def classify_by_spark(
    archive: Path, out: Path, *, n_executors: int, n_tasks: int, folder: Path, kill: bool = False
) -> dict[str, Any]:
    """Judge an archive with executors of one core each, processes of their own; return what is to be known of it.

    Args:
        archive: The input.
        out: The output.
        n_executors: Executors.
        n_tasks: Tasks.
        folder: Is made, for Spark's own files.
        kill: Whether one of the executors is killed at its work.

    Raises:
        LoadTestError: the job fails, or no executor was at work before it ended.
    """
    master = f"local-cluster[{n_executors},1,{_EXECUTOR_MB}]"
    options = ["--parquet", archive, "--out", out, "--tasks", n_tasks, "--threads", 1, "--master", master]
    options += ["--conf", "spark.ui.showConsoleProgress=false"]
    with _spark_home(folder) as environment:
        program = _started(["-m", "deploy.spark", *options], folder / "job.log", environment)
        killed = _killed_executor(program) if kill else None
        manifest = orjson.loads(_finished(program).splitlines()[-1])
    began, ended = (datetime.fromisoformat(manifest[name]) for name in ("decided_at", "finished_at"))
    return {
        "master": master,
        "seconds": (ended - began).total_seconds(),
        "killed_executor": killed is not None,
        "n_rows": manifest["counts"]["n_rows"],
    }


class _Program(NamedTuple):
    """A command that runs, and the file that takes what it prints on standard error."""

    process: subprocess.Popen[str]
    log: Path


def _started(arguments: list[Any], log: Path, environment: Mapping[str, str] | None = None) -> _Program:
    command = [sys.executable, *map(str, arguments)]
    if bundle := os.environ.get(BUNDLE_SETTING):
        command += ["--bundle", bundle]
    with log.open("w") as err:
        process = subprocess.Popen(  # noqa: S603  this project's own command line
            command, stdout=subprocess.PIPE, stderr=err, text=True, env={**os.environ, **(environment or {})}
        )
    return _Program(process, log)


def _finished(program: _Program) -> str:
    process = program.process
    try:
        out, _ = process.communicate(timeout=_TIMEOUT_S)
    except BaseException:
        process.kill()
        raise
    if process.returncode:
        raise LoadTestError(
            f"{' '.join(process.args)} ended with exit code {process.returncode}, expected 0; its last lines:\n"  # type: ignore[arg-type]
            f"{_tail(program)}"
        )
    return out


def _tail(program: _Program) -> str:
    return program.log.read_text("utf-8", "replace")[-_TAIL_CHARACTERS:]


@contextmanager
def _spark_home(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the environment of a Spark whose executors log into a folder of ours, not into the package's."""
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise LoadTestError("pyspark is not installed; expected the spark extra; run `make setup-spark`")
    home = folder / "spark"
    home.mkdir(parents=True, exist_ok=True)
    for part in Path(spec.origin).parent.iterdir():
        if part.name != "work" and not (home / part.name).exists():
            (home / part.name).symlink_to(part)
    java = find_java(os.environ, bundled=bundled_java()).executable.resolve().parents[1]
    yield {"SPARK_HOME": str(home), "JAVA_HOME": str(java), "SPARK_LOCAL_IP": "127.0.0.1"}


def _killed_executor(program: _Program) -> int:
    """Kill the first executor that is at work, as a node that dies; return its process id."""
    process = program.process
    driver = psutil.Process(process.pid)

    def at_work() -> psutil.Process | None:
        if process.poll() is not None:
            raise LoadTestError(
                "the job ended before an executor was at work; expected more events; raise their number"
            )
        with suppress(psutil.NoSuchProcess):
            for child in driver.children(recursive=True):
                if _EXECUTOR in " ".join(child.cmdline()) and _python_s(child) > _AT_WORK_S:
                    return child
        return None

    try:
        executor = wait_until(at_work, timeout_s=_TIMEOUT_S, what=lambda: "no executor is at work", every_s=0.2)
    except HarnessError:
        process.kill()
        raise
    executor.kill()
    return int(executor.pid)


def _python_s(executor: psutil.Process) -> float:
    """Return the CPU seconds of an executor's Python processes."""
    total = 0.0
    for child in executor.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            total += times.user + times.system
    return total
