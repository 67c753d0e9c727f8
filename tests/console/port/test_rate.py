"""The rate limit: a large request passes and is paid for afterwards."""

import pytest

from console.port.rate import RateLimit


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


def test_a_burst_passes_and_what_is_beyond_waits() -> None:
    """Whole seconds, as retry-after has them."""
    clock = Clock()
    limit = RateLimit(2, burst=4, clock=clock)
    for _ in range(4):
        assert limit.wait_s() == 0
        limit.spend(1)
    assert limit.wait_s() == 1
    clock.now_s += 0.5
    assert limit.wait_s() == 0


def test_a_request_above_the_burst_is_admitted_once_and_paid_for() -> None:
    """A caller of few conversations a second may still ask about 256 at once."""
    clock = Clock()
    limit = RateLimit(10, burst=20, clock=clock)
    assert limit.wait_s() == 0
    limit.spend(256)
    wait_s = limit.wait_s()
    assert wait_s == pytest.approx(236 / 10, abs=1)
    clock.now_s += wait_s - 1.5
    assert limit.wait_s() > 0
    clock.now_s += 1.5
    assert limit.wait_s() == 0


def test_a_long_pause_saves_no_more_than_the_burst() -> None:
    """An idle week is no right to a week's worth at once."""
    clock = Clock()
    limit = RateLimit(1, burst=3, clock=clock)
    clock.now_s += 1_000_000
    assert limit.wait_s() == 0
    limit.spend(3)
    assert limit.wait_s() > 0
