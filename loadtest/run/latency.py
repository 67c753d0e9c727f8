"""Latencies in a high dynamic range histogram: constant memory, three digits, no averaging of percentiles."""

from typing import Final

from hdrh.histogram import HdrHistogram

_HIGHEST_US: Final = 3_600_000_000
"""One hour; what is longer counts as one hour."""

_CURVE_DECADES: Final = 3
"""The curve's finest step is 99.99 %."""


class LatencyHistogram:
    """Latencies in seconds in, percentiles in milliseconds out."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, _HIGHEST_US, 3)

    def record(self, seconds: float) -> None:
        """Add one latency; clocks of one process never make it negative, so that 1 µs is the least."""
        self._histogram.record_value(min(_HIGHEST_US, max(1, round(seconds * 1_000_000))))

    def __len__(self) -> int:
        return int(self._histogram.get_total_count())

    def percentile_ms(self, percent: float) -> float:
        """Return the latency that `percent` of the events did not exceed, milliseconds, within 0.1 %; 0 without any."""
        return float(self._histogram.get_value_at_percentile(percent)) / 1_000

    def summary_ms(self) -> dict[str, float]:
        """Return p50, p90, p99, p99.9, the maximum and the mean, milliseconds."""
        named = {"p50_ms": 50.0, "p90_ms": 90.0, "p99_ms": 99.0, "p99_9_ms": 99.9, "max_ms": 100.0}
        return {
            **{name: round(self.percentile_ms(percent), 2) for name, percent in named.items()},
            "mean_ms": round(float(self._histogram.get_mean_value()) / 1_000, 2),
        }

    def curve_ms(self) -> list[list[float]]:
        """Return (percent, milliseconds) from the least to the largest, closer together towards the end, for a plot."""
        nines = (100 - 10 ** (1 - step / 8) for step in range(int(8 * _CURVE_DECADES) + 1))
        percents = [*range(0, 90, 2), *nines, 100.0]
        return [[round(percent, 5), round(self.percentile_ms(percent), 2)] for percent in percents]
