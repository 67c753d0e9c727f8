"""Threads follow the cgroup's CPU quota."""

import os
from pathlib import Path

import pytest

from model.inference.cpu_quota import available_cpus

AFFINITY = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("cpu_max", "expected"),
    [
        ("max 100000\n", AFFINITY),
        ("100000 100000\n", 1),
        ("50000 100000\n", 1),
        ("150000 100000\n", 1),
        ("99900000 100000\n", AFFINITY),
        ("garbage\n", AFFINITY),
        ("", AFFINITY),
    ],
)
def test_a_cgroup_v2_quota_bounds_the_threads(tmp_path: Path, cpu_max: str, expected: int) -> None:
    """More threads than CPU time are throttled in the middle of a batch."""
    (tmp_path / "cpu.max").write_text(cpu_max)
    assert available_cpus(tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", AFFINITY), ("100000", 1), ("20000", 1), ("x", AFFINITY)])
def test_a_cgroup_v1_quota_bounds_the_threads(tmp_path: Path, quota: str, expected: int) -> None:
    """Older nodes have the two files instead of one."""
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert available_cpus(tmp_path) == expected


def test_without_a_cgroup_the_affinity_mask_decides(tmp_path: Path) -> None:
    """A laptop has no quota."""
    assert available_cpus(tmp_path) == AFFINITY
