import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.schedule import constant, n_constant

rates = st.floats(min_value=0.5, max_value=500)
durations = st.floats(min_value=0.1, max_value=20)


@settings(deadline=None)  # the machine may be busy
@given(rate=rates, duration=durations)
def test_a_constant_schedule_is_even_and_ends_with_its_duration(rate: float, duration: float) -> None:
    """A bunched schedule would measure queueing that the load never asked for."""
    due = list(constant(rate_per_s=rate, duration_s=duration))
    gaps = [later - earlier for earlier, later in itertools.pairwise(due)]
    assert due[0] == 0.0
    assert due[-1] <= duration
    assert len(due) == n_constant(rate_per_s=rate, duration_s=duration)
    assert all(abs(gap - 1 / rate) < 1e-9 for gap in gaps)


@pytest.mark.parametrize(("rate", "duration"), [(0.0, 1.0), (-1.0, 1.0), (1.0, 0.0)])
def test_a_schedule_without_events_is_refused(rate: float, duration: float) -> None:
    """A silent empty load would print a perfect result."""
    with pytest.raises(ValueError, match="above 0"):
        next(constant(rate_per_s=rate, duration_s=duration))
