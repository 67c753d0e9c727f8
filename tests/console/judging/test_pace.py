"""The pace: what was learned, what is being learned, and what answers wait for the event loop."""

import pytest

from console.judging.pace import Pace


def learned(token_s: float, *, times: int = 1) -> Pace:
    """Return a pace that saw micro-batches of 100 tokens."""
    pace = Pace()
    for _ in range(times):
        pace.learn(n_tokens=100, took_s=100 * token_s)
    return pace


def test_nothing_is_expected_before_anything_was_classified() -> None:
    """Nobody is refused on a guess."""
    assert Pace().expected_s(n_tokens=1_000, in_hand=(100, 60.0)) == 0


def test_one_slow_micro_batch_more_than_halves_the_pace_and_takes_a_few_to_be_forgotten() -> None:
    """The machine became ten times slower."""
    pace = learned(0.01, times=20)
    pace.learn(n_tokens=100, took_s=10.0)
    assert pace.expected_s(n_tokens=100) > 6
    pace.learn(n_tokens=100, took_s=1.0)
    assert 4 < pace.expected_s(n_tokens=100) < 6
    for _ in range(20):
        pace.learn(n_tokens=100, took_s=1.0)
    assert pace.expected_s(n_tokens=100) == pytest.approx(1.0, rel=0.1)


def test_of_a_micro_batch_in_hand_what_is_left_counts() -> None:
    """As long as it is on time; and others may come into the last micro-batch, which takes a second."""
    pace = learned(0.01)
    assert pace.expected_s(n_tokens=200, in_hand=(100, 0.0)) == pytest.approx(3.0 + 1.0)
    assert pace.expected_s(n_tokens=200, in_hand=(100, 0.75)) == pytest.approx(2.25 + 1.0)


def test_a_micro_batch_that_is_late_shows_a_slowdown_before_it_ends() -> None:
    """What waits behind it is as slow, for all that is known."""
    pace = learned(0.01)
    on_time = pace.expected_s(n_tokens=200, in_hand=(100, 1.0))
    late = pace.expected_s(n_tokens=200, in_hand=(100, 10.0))
    assert on_time == pytest.approx(2.0 + 1.0)
    # 9 s late, and 0.064 s a token from then on.
    assert late == pytest.approx(9.0 + 200 * 0.064 + 1.0)


def test_a_busy_event_loop_counts_twice() -> None:
    """A request waits for it to be read and to be answered."""
    pace = learned(0.01)
    pace.learn_delivery(1.0)
    assert pace.expected_s(n_tokens=100) == pytest.approx(1.0 + 2 * 0.6)
