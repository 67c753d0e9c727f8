import pytest

from loadtest.run.latency import LatencyHistogram


def test_percentiles_of_known_latencies_are_found_within_the_histograms_precision() -> None:
    """Every latency figure we print comes from here; 1 to 1,000 ms has percentiles that anyone can name."""
    histogram = LatencyHistogram()
    for ms in range(1, 1_001):
        histogram.record(ms / 1_000)
    assert len(histogram) == 1_000
    assert histogram.summary_ms() == pytest.approx(
        {"p50_ms": 500, "p90_ms": 900, "p99_ms": 990, "p99_9_ms": 999, "max_ms": 1_000, "mean_ms": 500.5}, rel=0.002
    )


def test_the_curve_rises_from_the_least_to_the_largest_and_is_finest_at_its_end() -> None:
    """A plot of it must show the last chat in ten thousand."""
    histogram = LatencyHistogram()
    for ms in range(1, 1_001):
        histogram.record(ms / 1_000)
    percents, latencies = zip(*histogram.curve_ms(), strict=True)
    assert list(percents) == sorted(percents)
    assert list(latencies) == sorted(latencies)
    assert percents[-1] == 100
    assert latencies[-1] == pytest.approx(1_000, rel=0.002)
    assert sum(percent > 99 for percent in percents) > 10


def test_one_slow_event_in_a_thousand_shows_in_the_tail_and_not_in_the_median() -> None:
    """An average would blur both."""
    histogram = LatencyHistogram()
    for _ in range(999):
        histogram.record(0.010)
    histogram.record(2.0)
    assert histogram.percentile_ms(50) == pytest.approx(10, rel=0.002)
    assert histogram.percentile_ms(99.9) == pytest.approx(10, rel=0.002)
    assert histogram.percentile_ms(100) == pytest.approx(2_000, rel=0.002)


def test_latencies_outside_the_histograms_range_count_at_its_ends() -> None:
    """A run must not fail in its last minute because one event took longer than anybody thought of."""
    histogram = LatencyHistogram()
    histogram.record(0.0)
    histogram.record(1e6)
    assert len(histogram) == 2
    assert histogram.percentile_ms(100) == pytest.approx(3_600_000, rel=0.002)
