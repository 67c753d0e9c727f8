"""Where reading starts; a lost range is named."""

from typing import Literal

import pytest

from worker.kafka.start_offsets import StartOffset, start_offset


@pytest.mark.parametrize(
    ("committed", "low", "high", "reset", "expected"),
    [
        pytest.param(None, 0, 10, "earliest", StartOffset(0), id="a new group, from the start"),
        pytest.param(None, 4, 10, "earliest", StartOffset(4), id="a new group, from what is left"),
        pytest.param(None, 0, 10, "latest", StartOffset(10), id="a new group, from now on"),
        pytest.param(7, 0, 10, "earliest", StartOffset(7), id="where it was"),
        pytest.param(7, 0, 10, "latest", StartOffset(7), id="where it was, whatever the reset"),
        pytest.param(0, 0, 0, "earliest", StartOffset(0), id="an empty partition"),
        pytest.param(10, 0, 10, "earliest", StartOffset(10), id="nothing new"),
        pytest.param(4, 4, 10, "earliest", StartOffset(4), id="just not lost"),
        pytest.param(3, 4, 10, "earliest", StartOffset(4, n_lost=1), id="one record lost"),
        pytest.param(0, 50, 60, "latest", StartOffset(50, n_lost=50), id="many lost, never a jump to the end"),
        pytest.param(12, 0, 10, "earliest", StartOffset(0, n_lost=2), id="the topic was made again"),
    ],
)
def test_the_start_follows_from_what_is_committed_and_what_is_left(
    committed: int | None, low: int, high: int, reset: Literal["earliest", "latest"], expected: StartOffset
) -> None:
    """F20: a silent jump over deleted records leaves chats without a verdict."""
    assert start_offset(committed=committed, low=low, high=high, offset_reset=reset) == expected
