"""How many CPUs this process may really use.

A container with a quota of 2 CPUs on a 64-core host still sees 64 cores; 64 threads on 2 CPUs' worth of time are
throttled in the middle of a batch. So threads follow the cgroup quota and the affinity mask, whichever is smaller.
Source: kernel documentation, cgroup-v2 `cpu.max` and cgroup-v1 `cpu.cfs_quota_us`.
"""

import os
from pathlib import Path

_CGROUP_ROOT = Path("/sys/fs/cgroup")


def available_cpus(cgroup_root: Path = _CGROUP_ROOT) -> int:
    """Return the number of whole CPUs available, at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota_cpus(cgroup_root)
    return affinity if quota is None else max(1, min(affinity, int(quota)))


def _quota_cpus(root: Path) -> float | None:
    """Return the quota in CPUs, None where there is no limit or no cgroup."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (root / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    try:
        quota_us, period_us = int(quota), int(period)
    except ValueError:
        return None  # cgroup v2 writes "max" for no limit
    return quota_us / period_us if quota_us > 0 and period_us > 0 else None
