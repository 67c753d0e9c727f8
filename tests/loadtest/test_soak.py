import pytest

from loadtest.soak import Sample, memory_account


def test_flat_memory_has_no_slope_whatever_it_grew_by_at_the_start() -> None:
    """Pools and arenas fill in the first tenth; that is not a leak."""
    samples = [Sample(0, 180.0), Sample(50, 200.0), *(Sample(n, 210.0) for n in range(100, 1_001, 100))]
    assert memory_account(samples, 1_000) == {
        "rss_start_mb": 180.0,
        "rss_at_10_percent_mb": 210.0,
        "rss_end_mb": 210.0,
        "rss_slope_mb_per_million_events": 0.0,
    }


def test_a_leak_of_a_kilobyte_an_event_shows_as_a_thousand_megabytes_per_million() -> None:
    """The slope is what tells a leak from a large but steady worker."""
    samples = [Sample(n, 200.0 + n / 1_000) for n in range(0, 10_001, 500)]
    account = memory_account(samples, 10_000)
    assert account["rss_slope_mb_per_million_events"] == pytest.approx(1_000)


def test_a_run_too_short_for_a_slope_reports_none() -> None:
    """Two points at the same count have no line through them."""
    samples = [Sample(0, 100.0), Sample(10, 120.0), Sample(10, 121.0)]
    assert memory_account(samples, 10)["rss_slope_mb_per_million_events"] == 0.0
