"""The range of a partition that is read: what was asked for, and what is there."""

import pytest

from worker.errors import SettingsError
from worker.kafka.ranges import Found, Limits, one_range

PLACE = ("chat-events", 0)


@pytest.mark.parametrize(
    ("limits", "asked", "since_ms", "expected"),
    [
        pytest.param(Limits(0, 9), (None, None), None, (0, 9, 0), id="all that is there"),
        pytest.param(Limits(4, 9), (None, None), None, (4, 9, 0), id="all that is left"),
        pytest.param(Limits(0, 9), (3, 5), None, (3, 5, 0), id="by offset"),
        pytest.param(Limits(4, 9), (1, 6), None, (4, 6, 3), id="start deleted"),
        pytest.param(Limits(7, 9), (1, 6), None, (7, 7, 5), id="all deleted"),
        pytest.param(Limits(0, 9, Found(3, 50)), (None, None), 40, (3, 9, 0), id="since"),
        pytest.param(Limits(0, 9, Found(-1, -1)), (None, None), 40, (9, 9, 0), id="since after the last"),
        pytest.param(Limits(3, 9, Found(3, 50)), (None, None), 40, (3, 9, 3), id="since, perhaps deleted"),
        pytest.param(Limits(3, 9, Found(3, 40)), (None, None), 40, (3, 9, 0), id="since, exactly the first"),
        pytest.param(Limits(0, 9, None, Found(6, 50)), (None, None), None, (0, 6, 0), id="until"),
        pytest.param(Limits(0, 9, None, Found(-1, -1)), (None, None), None, (0, 9, 0), id="until after the last"),
        pytest.param(Limits(0, 9, Found(7, 9), Found(5, 9)), (None, None), 9, (7, 7, 0), id="clocks that go back"),
        pytest.param(Limits(0, 9), (6, None), None, (6, 9, 0), id="behind an earlier redrive"),
        pytest.param(Limits(8, 9), (6, None), None, (8, 9, 2), id="letters deleted between two redrives"),
    ],
)
def test_the_range_of_a_partition(
    limits: Limits, asked: tuple[int | None, int | None], since_ms: int | None, expected: tuple[int, int, int]
) -> None:
    """A hole has a number, and a range is never negative."""
    found = one_range(PLACE, limits, asked, since_ms=since_ms)
    assert (found.start, found.end, found.n_lost) == expected


def test_an_end_that_is_not_there_yet_is_refused() -> None:
    """A replay that waits for records to come would never end."""
    with pytest.raises(SettingsError, match="expected at most 9"):
        one_range(PLACE, Limits(0, 9), (0, 10), since_ms=None)
