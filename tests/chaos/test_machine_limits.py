"""What the machine refuses: files, memory, CPU time (F36, F37)."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import pytest

from deploy.local.ports import free_ports
from deploy.local.proxied_stack import ProxiedStack
from testkit.records import InputRecord
from testkit.waiting import wait_until
from testkit.worker_process import WorkerProcess, child_environment
from tests.bad_inputs import bad_inputs
from tests.chaos.conditions import is_ready, total
from tests.chaos.conftest import Settings
from tests.chaos.limits import NO_FILES, READ_ONLY_ROOT, limited
from tests.integration.ledger import LiveLedger
from tests.integration.load import short_events
from tests.integration.workers import REPOSITORY

MEMORY_BYTES: Final = 420_000_000
N_GIANTS: Final = 40


@pytest.fixture
def settings(direct_settings: Settings) -> Settings:
    """Return settings without a proxy: the machine is the fault."""
    return direct_settings


@contextmanager
def worker_without_files(launcher: Sequence[str], settings: Settings) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a worker whose home and folder for temporary files do not exist; its log goes to a pipe that is read."""
    nowhere = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME"), "/nonexistent")
    process = subprocess.Popen(
        [*launcher, sys.executable, "-m", "worker", "run"],
        cwd=REPOSITORY,
        env=child_environment(os.environ, {**settings, **nowhere}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    lines: list[bytes] = []
    reading = threading.Thread(target=lambda: lines.extend(process.stdout or ()), daemon=True)
    reading.start()
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)
        reading.join(10)
        sys.stderr.write(b"".join(lines[-40:]).decode("utf-8", "replace"))


@pytest.mark.parametrize("launcher", [NO_FILES, READ_ONLY_ROOT], ids=["full disk", "read-only root"])
def test_a_worker_runs_where_no_file_can_be_written(
    *,
    proxied: ProxiedStack,
    ledger: LiveLedger,
    settings: Settings,
    sample_chats: list[dict[str, Any]],
    launcher: tuple[str, ...],
) -> None:
    """F36: it keeps no state on disk, so a full or read-only one, without a home or /tmp of its own, is none of it."""
    del proxied  # only for its services
    (port,) = free_ports(1)
    with worker_without_files(launcher, settings | {"MODERATION_HTTP__PORT": str(port)}) as process:
        wait_until(
            lambda: process.poll() is not None or is_ready(port), timeout_s=90, what=lambda: "the worker is not ready"
        )
        assert process.poll() is None, f"ended with {process.returncode}"
        ledger.send(short_events(sample_chats, 200, n_chats=50))
        ledger.wait_complete()
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
    ledger.assert_exactly_once()
    print(f"F36: {len(ledger.sent)} events once")


def test_a_worker_stays_below_its_memory_limit_and_slows_down_with_its_quota(
    *, proxied: ProxiedStack, ledger: LiveLedger, settings: Settings, sample_chats: list[dict[str, Any]], tmp_path: Any
) -> None:
    """F37: giants under a limit kill nobody; with a tenth of the CPU the batches get smaller, and no record is lost."""
    del proxied  # only for its services
    (port,) = free_ports(1)
    own = {"MODERATION_HTTP__PORT": str(port), "MODERATION_MODEL__N_THREADS": "0"}
    # One intended time, lag or not, so that the limit of a batch says how fast the worker is.
    own |= {"MODERATION_BATCH__THIN_S": "1", "MODERATION_BATCH__LAGGING_S": "1"}
    environment = child_environment(os.environ, settings | own)
    giant = next(bad for bad in bad_inputs() if bad.name == "1 MB of combining marks")
    events = list(short_events(sample_chats, 6_000, n_chats=300))
    with (
        limited(MEMORY_BYTES) as limits,
        WorkerProcess(environment, tmp_path / "limited.log", cwd=REPOSITORY, launcher=limits.launcher) as worker,
    ):
        worker.wait_ready(port)
        ledger.send_raw(InputRecord(b"bad-chat", giant.value) for _ in range(N_GIANTS))
        ledger.send(events[:4_500])
        ledger.wait_complete(timeout_s=180)
        most = total(port, "moderation_batch_limit_records")
        limits.allow_cpus(0.2, worker.pid)
        n_before = len(worker.events("batch_done"))
        ledger.send(events[4_500:])
        ledger.wait_complete(timeout_s=240)
        sizes = [event["n_records"] for event in worker.events("batch_done")]
        least = total(port, "moderation_batch_limit_records")
        assert worker.exit_code is None, worker.tail()
        assert limits.n_killed == 0
        limits.allow_cpus(2.0, worker.pid)
        with suppress(OSError):
            sys.stderr.write(worker.tail())
    assert least < most
    ledger.assert_exactly_once()
    print(
        f"F37 ({limits.kind}, {MEMORY_BYTES / 1e6:.0f} MB): nobody killed; batch limit {most:.0f}, with a tenth of the "
        f"CPU {least:.0f}; {len(sizes) - n_before} batches for the last 1,500, {len(ledger.sent)} events once"
    )
