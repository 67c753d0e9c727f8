import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.run.schedule import Phase, Schedule, due_times

rates = st.floats(min_value=0.5, max_value=500)
durations = st.floats(min_value=0.1, max_value=20)


def _due_before(due: list[float], at_s: float) -> int:
    return sum(one < at_s for one in due)


@settings(deadline=None)  # the machine may be busy
@given(rate=rates, duration=durations)
def test_a_constant_schedule_is_even_and_ends_with_its_duration(rate: float, duration: float) -> None:
    """A bunched schedule would measure queueing that the load never asked for."""
    due = list(Schedule.constant(rate_per_s=rate, duration_s=duration).due_s)
    gaps = [later - earlier for earlier, later in itertools.pairwise(due)]
    assert due[0] == 0.0
    assert due[-1] <= duration
    assert len(due) == max(1, round(rate * duration))
    assert all(abs(gap - 1 / rate) < 1e-9 for gap in gaps)


@pytest.mark.parametrize(("rate", "duration"), [(0.0, 1.0), (-1.0, 1.0), (1.0, 0.0)])
def test_a_schedule_without_events_is_refused(rate: float, duration: float) -> None:
    """A silent empty load would print a perfect result."""
    with pytest.raises(ValueError, match="above 0"):
        Schedule.constant(rate_per_s=rate, duration_s=duration)


@settings(deadline=None)
@given(phases=st.lists(st.builds(Phase, rates, rates, durations), min_size=1, max_size=4))
def test_phases_send_what_their_areas_say_in_order(phases: list[Phase]) -> None:
    """An event more or less at a seam would shift everything behind it."""
    due = list(due_times(phases))
    assert due[0] == 0.0
    assert all(later >= earlier for earlier, later in itertools.pairwise(due))
    area, end_s = 0.0, 0.0
    for phase in phases:
        area, end_s = area + phase.n_events, end_s + phase.duration_s
        assert abs(_due_before(due, end_s) - area) <= 1 + 1e-6 * area
    assert len(due) == max(1, round(area))


def test_a_ramp_sends_a_quarter_of_its_events_in_its_first_half() -> None:
    """From nothing to 100 a second over 10 s: the area grows with the square of the time."""
    due = list(Schedule.ramp(from_per_s=0, to_per_s=100, duration_s=10).due_s)
    assert len(due) == 500
    assert _due_before(due, 5.0) == 125
    assert due[125] == pytest.approx(5.0)


def test_a_ramp_may_fall() -> None:
    """The way back down is where an autoscaler takes pods away."""
    due = list(Schedule.ramp(from_per_s=100, to_per_s=0, duration_s=10).due_s)
    assert _due_before(due, 5.0) == 375


def test_a_burst_is_as_much_faster_as_it_says_and_knows_where_it_lies() -> None:
    """The recovery is counted from the end of the burst."""
    schedule = Schedule.burst(rate_per_s=10, factor=4, at_s=3, burst_s=2, duration_s=8)
    due = list(schedule.due_s)
    assert schedule.burst_s == (3, 5)
    per_second = [_due_before(due, second + 1) - _due_before(due, second) for second in range(8)]
    assert per_second == [10, 10, 10, 40, 40, 10, 10, 10]


def test_a_burst_with_nothing_after_it_is_refused() -> None:
    """Without load after it no recovery can be seen."""
    with pytest.raises(ValueError, match="above 0"):
        Schedule.burst(rate_per_s=10, factor=4, at_s=3, burst_s=2, duration_s=5)


@settings(deadline=None)
@given(times=st.lists(st.floats(min_value=0, max_value=1e9), min_size=1, max_size=50), speed=st.floats(0.1, 100))
def test_replayed_arrivals_keep_their_gaps_at_the_speed_asked_for(times: list[float], speed: float) -> None:
    """Real traffic comes in clumps that no made schedule has."""
    due = list(Schedule.replayed(times, speed=speed).due_s)
    ordered = sorted(times)
    assert due[0] == 0.0
    assert due == pytest.approx([(one - ordered[0]) / speed for one in ordered])


def test_a_replay_can_be_cut_at_a_duration() -> None:
    """A day of arrivals need not be replayed to its end."""
    assert list(Schedule.replayed([10.0, 12.0, 14.0, 20.0], speed=2, duration_s=2.5).due_s) == [0.0, 1.0, 2.0]
