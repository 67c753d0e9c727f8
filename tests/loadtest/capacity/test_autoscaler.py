"""KEDA's and the HPA's arithmetic, case by case as their sources have it."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.capacity.autoscaler import (
    SYNC_S,
    Autoscaler,
    Movement,
    ScalingRules,
    keda_lag,
    wanted_by_cpu,
    wanted_by_lag,
)

_NO_LIMITS: Final = ScalingRules(
    lag_threshold=100,
    cpu_percent=0,
    min_replicas=1,
    max_replicas=100,
    up=Movement(stabilization_s=0, percent=100_000),
    down=Movement(stabilization_s=0, percent=100),
)


@pytest.mark.parametrize(
    ("lags", "expected"),
    [
        ([0.0, 0.0], 0),
        ([30.0, 40.0], 70),
        ([1_000.0, 0.0], 200),
        pytest.param([150.0, 150.0], 200, id="capped at a pod per partition"),
        pytest.param([150.0, 140.0], 290, id="whole pods are compared: 2.9 is not above 2"),
    ],
)
def test_keda_sums_the_lags_and_caps_them_at_a_pod_per_partition(lags: list[float], expected: int) -> None:
    """One partition far behind brings as many pods as all of them a little behind."""
    assert keda_lag(lags, 100) == expected


@pytest.mark.parametrize(
    ("n_pods", "lag", "expected"),
    [
        (1, 0, 0),
        (2, 201, 2),
        (2, 219, 2),
        (2, 221, 3),
        (2, 181, 2),
        (2, 179, 2),
        (3, 269, 3),
        (10, 899, 9),
        (0, 150, 2),
    ],
)
def test_lag_over_threshold_is_rounded_up_outside_a_tenth_of_what_runs(n_pods: int, lag: int, expected: int) -> None:
    """Within the tolerance nothing moves."""
    assert wanted_by_lag(n_pods, lag, 100) == expected


@pytest.mark.parametrize(
    ("n_pods", "busy", "expected"),
    [(4, 80.0, 4), (4, 87.9, 4), (4, 100.0, 5), (10, 100.0, 13), (4, 40.0, 2), (4, 0.0, 0)],
)
def test_cpu_asks_for_as_many_pods_as_bring_it_to_its_target(n_pods: int, busy: float, expected: int) -> None:
    """The same tolerance, the same rounding."""
    assert wanted_by_cpu(n_pods, busy, 80) == expected
    assert wanted_by_cpu(n_pods, busy, 0) == 0


def _run(rules: ScalingRules, lags: list[float], n_pods: int) -> list[int]:
    """Feed one lag per sync; return the pods after each."""
    autoscaler, pods = Autoscaler(rules), []
    for step, lag in enumerate(lags):
        n_pods = autoscaler.decide(step * SYNC_S, n_pods, [lag / 50] * 50, 0.0)
        pods.append(n_pods)
    return pods


def test_scaling_down_waits_for_the_largest_recommendation_to_leave_its_window() -> None:
    """300 s are 20 syncs; the one at the window's very end still counts."""
    rules = ScalingRules(100, 0, 1, 100, up=_NO_LIMITS.up, down=Movement(stabilization_s=300, percent=100))
    assert _run(rules, [1_000.0] + [0.0] * 21, 1) == [10] * 21 + [1]


def test_scaling_up_within_a_window_takes_the_smallest_recommendation() -> None:
    """A spike that is over at the next sync brings nobody."""
    rules = ScalingRules(100, 0, 1, 100, up=Movement(stabilization_s=60, percent=100_000), down=_NO_LIMITS.down)
    assert _run(rules, [0.0, 900.0, 0.0, 900.0, 900.0, 900.0, 900.0, 900.0], 1) == [1, 1, 1, 1, 1, 1, 1, 9]


def test_pods_come_no_faster_than_the_policies_allow() -> None:
    """Four or as many as there were a minute ago, whichever is more; then the same again a minute later."""
    rules = ScalingRules(100, 0, 1, 100, up=Movement(stabilization_s=0, percent=100, pods=4), down=_NO_LIMITS.down)
    assert _run(rules, [5_000.0] * 12, 2) == [6, 6, 6, 6, 12, 12, 12, 12, 24, 24, 24, 24]


def test_pods_go_no_faster_than_the_policies_allow() -> None:
    """A quarter a minute, rounded in favour of going."""
    rules = ScalingRules(100, 0, 1, 100, up=_NO_LIMITS.up, down=Movement(stabilization_s=0, percent=25))
    assert _run(rules, [0.0] * 9, 16) == [12, 12, 12, 12, 9, 9, 9, 9, 6]


@given(
    lags=st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=40),
    least=st.integers(1, 5),
    more=st.integers(0, 20),
)
def test_the_number_of_pods_never_leaves_its_limits(lags: list[float], least: int, more: int) -> None:
    """Whatever the lag does."""
    rules = ScalingRules(min_replicas=least, max_replicas=least + more)
    assert all(least <= n_pods <= least + more for n_pods in _run(rules, lags, least))
