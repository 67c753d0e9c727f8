import itertools

import pytest

from loadtest.soak.soak import Sample, SoakPlan, memory_account, memory_curve, soak_numbers


def test_flat_memory_has_no_slope_whatever_it_grew_by_at_the_start() -> None:
    """Pools and arenas fill in the first tenth; that is not a leak."""
    samples = [Sample(0, 180.0), Sample(50, 200.0, 1.0), *(Sample(n, 210.0, n) for n in range(100, 1_001, 100))]
    assert memory_account(samples) == {
        "rss_start_mb": 180.0,
        "rss_at_10_percent_mb": 210.0,
        "rss_end_mb": 210.0,
        "rss_slope_mb_per_million_events": 0.0,
        "rss_slope_mb_per_hour": 0.0,
    }


def test_a_leak_of_a_kilobyte_an_event_shows_as_a_thousand_megabytes_per_million() -> None:
    """The slope is what tells a leak from a large but steady worker; at 100 events a second it is 360 MB an hour."""
    samples = [Sample(n, 200.0 + n / 1_000, n / 100) for n in range(0, 10_001, 500)]
    account = memory_account(samples)
    assert account["rss_slope_mb_per_million_events"] == pytest.approx(1_000)
    assert account["rss_slope_mb_per_hour"] == pytest.approx(360)


def test_a_run_too_short_for_a_slope_reports_none() -> None:
    """Two points at the same count have no line through them."""
    samples = [Sample(0, 100.0), Sample(10, 120.0), Sample(10, 121.0)]
    assert memory_account(samples)["rss_slope_mb_per_million_events"] == 0.0


def test_a_soak_ends_at_the_first_of_its_limits() -> None:
    """Half an hour, or so many events, or whichever comes first."""
    assert SoakPlan(n_events=100).progress(n_events=50, elapsed_s=1e6) == 0.5
    assert SoakPlan(duration_s=100.0).progress(n_events=10**9, elapsed_s=25) == 0.25
    assert SoakPlan(n_events=100, duration_s=100.0).progress(n_events=100, elapsed_s=25) == 1
    with pytest.raises(ValueError, match="n_events or duration_s"):
        SoakPlan()


def test_a_cached_soak_sends_the_same_chats_in_turn() -> None:
    """Equal ones as far apart as can be, so that they are hits and not folded within a batch."""
    assert list(itertools.islice(soak_numbers(3, SoakPlan(n_events=7)), 7)) == [0, 1, 2, 0, 1, 2, 0]


def test_a_mixed_soak_sends_new_chats_at_its_ratio_each_once_in_a_repeatable_order() -> None:
    """The model must work too, or its memory is not measured."""
    numbers = list(itertools.islice(soak_numbers(10, SoakPlan(n_events=5_000, new_ratio=0.2)), 5_000))
    new = [one for one in numbers if one >= 10]
    assert new == list(range(10, 10 + len(new)))
    assert len(new) / len(numbers) == pytest.approx(0.2, abs=0.03)
    assert numbers == list(itertools.islice(soak_numbers(10, SoakPlan(n_events=5_000, new_ratio=0.2)), 5_000))


def test_the_curve_of_a_long_soak_stays_short() -> None:
    """It is printed in one line."""
    assert len(memory_curve([Sample(n, 1.0, n) for n in range(10_000)])["rss_mb"]) <= 101
