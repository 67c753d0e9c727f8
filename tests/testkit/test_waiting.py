from itertools import count

import pytest

from testkit.errors import HarnessError
from testkit.waiting import wait_until, wait_with_progress


def test_the_first_true_answer_is_returned() -> None:
    """A caller waits for a thing, not for a boolean."""
    answers = iter([None, 0, "", "here"])
    assert wait_until(lambda: next(answers), timeout_s=10, every_s=0.001) == "here"


def test_what_did_not_come_in_time_is_told() -> None:
    """A time-out alone would say nothing about what is missing."""
    with pytest.raises(HarnessError, match=r"not within 0\.01 s: two of three"):
        wait_until(lambda: None, timeout_s=0.01, what=lambda: "two of three")


def test_a_wait_goes_on_for_as_long_as_something_moves_and_ends_when_nothing_does() -> None:
    """A slow machine gets its time; a stuck worker does not."""
    progress = count()
    assert wait_with_progress(lambda: next(progress) > 5, progress=lambda: next(progress), quiet_s=0.001)
    assert not wait_with_progress(lambda: False, progress=lambda: 0, quiet_s=0.001)
