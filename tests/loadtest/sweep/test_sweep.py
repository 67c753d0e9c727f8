from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.capacity.plan import Sizing, cost_per_million
from loadtest.run.schedule import Schedule
from loadtest.sweep.sweep import Search, Setting, Trial, grid, highest_rate, is_hopeless, size

TARGET_MS = 100.0


def _trial(rate: float, p99_ms: float, *, n_wrong: int = 0, late_ms: float = 1.0, given_up: bool = False) -> Trial:
    return Trial(rate, p99_ms, n_wrong, late_ms, given_up, {})


def _queue(capacity: float) -> Callable[[float], Trial]:
    """Return a system whose p99 grows like that of a queue, and without bound at its capacity."""
    return lambda rate: _trial(rate, 20 / (1 - rate / capacity) if rate < capacity else 60_000)


@settings(deadline=None)
@given(capacity=st.floats(min_value=5, max_value=10_000), precision=st.floats(min_value=0.01, max_value=0.3))
def test_the_search_ends_within_its_precision_below_the_highest_rate_that_holds(
    capacity: float, precision: float
) -> None:
    """20 ms at no load and a target of 100 ms: the queue holds it up to four fifths of its capacity."""
    found = highest_rate(_queue(capacity), Search(TARGET_MS, precision_ratio=precision))
    best = 0.8 * capacity
    assert found.best is not None
    assert best / (1 + precision) * 0.999 <= found.best.rate_per_s <= best * 1.001
    assert found.limit(TARGET_MS) == "latency"
    assert len(found.trials) < 40


def test_the_answer_has_held_twice() -> None:
    """One trial in which a noisy machine was quiet proves little: above 50 each rate holds on its first try only."""
    tried: list[float] = []

    def attempt(rate: float) -> Trial:
        tried.append(rate)
        was_lucky = tried.count(rate) == 1 and rate <= 100
        return _trial(rate, 10 if rate <= 50 or was_lucky else 900)

    found = highest_rate(attempt, Search(TARGET_MS, precision_ratio=0.1))
    assert found.best is not None
    assert 50 / 1.1 <= found.best.rate_per_s <= 50
    assert tried.count(found.best.rate_per_s) == 2


def test_where_the_first_rate_is_too_high_the_search_goes_down() -> None:
    """A small pod must not read as one that can do nothing."""
    found = highest_rate(_queue(5), Search(TARGET_MS, from_rate=200))
    assert found.best is not None
    assert found.best.rate_per_s == pytest.approx(4, rel=0.06)


def test_a_target_that_no_rate_holds_has_no_answer() -> None:
    """A lone chat takes longer than the target."""
    found = highest_rate(lambda rate: _trial(rate, 900), Search(TARGET_MS))
    assert found.best is None
    assert found.limit(TARGET_MS) == "latency"


def test_the_search_stops_at_the_highest_rate_it_may_try_and_says_so() -> None:
    """The limit is then that of the search, not of the workers."""
    found = highest_rate(lambda rate: _trial(rate, 10), Search(TARGET_MS, from_rate=20, to_rate=100))
    assert found.best is not None
    assert found.best.rate_per_s == 100
    assert found.limit(TARGET_MS) == "not reached"


def test_a_rate_does_not_hold_with_a_lost_event_or_a_generator_that_is_late() -> None:
    """Neither says anything about the latency of the workers."""
    assert _trial(10, 10).verdict(TARGET_MS) == "held"
    assert _trial(10, 10, n_wrong=1).verdict(TARGET_MS) == "wrong answers"
    assert _trial(10, 90, late_ms=60).verdict(TARGET_MS) == "generator"
    assert _trial(10, 10, given_up=True).verdict(TARGET_MS) == "latency"
    assert _trial(10, 101).verdict(TARGET_MS) == "latency"


@settings(deadline=None)
@given(
    rate=st.floats(min_value=1, max_value=200),
    duration=st.floats(min_value=1, max_value=20),
    served=st.floats(min_value=1, max_value=400),
    stall_s=st.floats(min_value=0, max_value=2),
)
def test_a_trial_is_given_up_only_where_its_p99_misses_the_target(
    rate: float, duration: float, served: float, stall_s: float
) -> None:
    """A server of fixed speed that stalls at first: whatever is given up on would have missed, had it gone on."""
    due = np.array(Schedule.constant(rate_per_s=rate, duration_s=duration).due_s)
    places = np.arange(len(due))
    # First come, first served: a chat is done one service after it came, or after the one before it was done.
    done = np.maximum.accumulate(np.maximum(due, stall_s) - places / served) + (places + 1) / served
    n_unanswered = int(np.max(places - np.searchsorted(done, due, side="right")))
    p99_ms = 1_000 * float(np.percentile(done - due, 99, method="higher"))
    if is_hopeless(n_unanswered=n_unanswered, rate_per_s=rate, n_events=len(due), p99_ms=TARGET_MS):
        assert p99_ms > TARGET_MS


def test_the_grid_holds_every_combination_and_hands_settings_to_the_workers() -> None:
    """A default is left to the worker."""
    found = list(grid(workers=[1, 2], threads=[1], batch_records=[None, 200], thin_s=[0.05]))
    assert len(found) == 4
    assert found[0].environment() == {"MODERATION_MODEL__N_THREADS": "1", "MODERATION_BATCH__THIN_S": "0.05"}
    assert found[3].environment()["MODERATION_BATCH__MAX_RECORDS"] == "200"


def test_a_deployment_is_sized_by_the_plans_own_rules() -> None:
    """100 chats/s on one worker of two threads: 1,000/s at four fifths take 13 pods with whole partitions."""
    sizing = Sizing(utilisation_ratio=0.8, price_per_vcpu_hour=0.04)
    found = size(100, Setting(1, 2), n_cpus=4, target_rate=1_000, sizing=sizing)
    assert (found["n_vcpus"], found["chats_per_s_per_vcpu"]) == (2, 50)
    assert (found["replicas"], found["n_partitions"]) == (13, 26)
    assert found["n_target_vcpus"] == 26
    assert found["cost_per_hour"] == pytest.approx(26 * 0.04)
    assert found["cost_per_million"] == pytest.approx(1e6 / 100 / 3_600 * 2 * 0.04, abs=1e-4)
    assert cost_per_million(100, 2, sizing) == pytest.approx(found["cost_per_million"], abs=1e-4)


def test_workers_with_more_threads_than_cpus_are_charged_for_the_cpus_there_are() -> None:
    """Four workers of two threads on two CPUs have not had eight vCPUs."""
    found = size(100, Setting(4, 2), n_cpus=2, target_rate=50, sizing=Sizing())
    assert found["n_vcpus"] == 2
    assert found["replicas"] == 3


def test_one_pod_is_never_enough() -> None:
    """A lost node must leave a worker."""
    assert size(100, Setting(1, 1), n_cpus=2, target_rate=1, sizing=Sizing())["replicas"] == 2
