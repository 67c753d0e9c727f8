"""Limits that the kernel puts on a worker: memory, CPU time, files.

A cgroup of its own below ours where this machine lets us make one, version 1 or 2; else resource limits and one CPU.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from uuid import uuid4

import psutil

from testkit.waiting import wait_until

_ROOT: Final = Path("/sys/fs/cgroup")
_PERIOD_US: Final = 100_000

NO_FILES: Final = ("sh", "-c", 'ulimit -f 0; exec "$@"', "sh")
"""A launcher under which no file takes a byte, as on a full disk."""
READ_ONLY_ROOT: Final = (
    *("unshare", "--map-root-user", "--mount", "sh", "-c"),
    'mount --rbind / / && mount -o remount,bind,ro / && exec "$@"',
    "sh",
)
"""A launcher under which the root file system is read-only, as in a pod; what is mounted elsewhere stays writable."""


@dataclass(frozen=True)
class Limits:
    """What one process and its children may take.

    Attributes:
        launcher: Puts a command under the limits.
        kind: `cgroup v1`, `cgroup v2` or `rlimit`.
        folders: Of the cgroup, by controller.
    """

    launcher: tuple[str, ...]
    kind: str
    folders: dict[str, Path]

    def allow_cpus(self, cpus: float, pid: int) -> None:
        """Change the CPU quota under way; without a cgroup the process is kept to one CPU of those it had."""
        quota_us = round(cpus * _PERIOD_US)
        if self.kind == "cgroup v1":
            (self.folders["cpu"] / "cpu.cfs_quota_us").write_text(str(quota_us))
        elif self.kind == "cgroup v2":
            (self.folders["cpu"] / "cpu.max").write_text(f"{quota_us} {_PERIOD_US}")
        else:
            only = {min(os.sched_getaffinity(pid))}
            for thread in psutil.Process(pid).threads():
                os.sched_setaffinity(thread.id, only)

    @property
    def n_killed(self) -> int:
        """How many processes the kernel has killed for memory."""
        names = {"cgroup v1": "memory.oom_control", "cgroup v2": "memory.events"}
        if self.kind not in names:
            return 0
        lines = (self.folders["memory"] / names[self.kind]).read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


@contextmanager
def limited(memory_bytes: int) -> Iterator[Limits]:
    """Make limits for one worker, and remove them when everything in them has ended."""
    folders = _made()
    if folders is None:
        yield Limits(("prlimit", f"--data={memory_bytes}", "--"), "rlimit", {})
        return
    is_v1 = folders["cpu"] != folders["memory"]
    (folders["memory"] / ("memory.limit_in_bytes" if is_v1 else "memory.max")).write_text(str(memory_bytes))
    enter = " && ".join(f"echo $$ > {folder}/cgroup.procs" for folder in dict.fromkeys(folders.values()))
    launcher = ("sh", "-c", f'{enter} && exec "$@"', "sh")
    try:
        yield Limits(launcher, "cgroup v1" if is_v1 else "cgroup v2", folders)
    finally:
        for folder in dict.fromkeys(folders.values()):
            wait_until(partial(_removed, folder), timeout_s=30, what=lambda: f"{folders} are not empty")


def _made() -> dict[str, Path] | None:
    """Make a cgroup below ours for each controller; None where that is not allowed."""
    name, own = f"verdictstream-{uuid4().hex[:8]}", _own()
    folders: dict[str, Path] = {}
    try:
        for controller in ("memory", "cpu"):
            parent = _ROOT / controller / own[controller] if controller in own else _ROOT / own[""]
            folder = parent / name
            folder.mkdir(exist_ok=True)
            folders[controller] = folder
            if not any(folder.glob(f"{controller}.*")):
                raise PermissionError(f"{folder} has no controller {controller}")
    except (OSError, KeyError):
        for folder in folders.values():
            with suppress(OSError):
                folder.rmdir()
        return None
    return folders


def _own() -> dict[str, str]:
    """Return the path of our cgroup by controller; the one of version 2 has no name."""
    found: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            found[controller] = path.lstrip("/")
    return found


def _removed(folder: Path) -> bool:
    with suppress(OSError):
        folder.rmdir()
    return not folder.exists()
