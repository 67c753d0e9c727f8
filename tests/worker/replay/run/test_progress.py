"""The progress of a partition, over gaps and holes."""

import pytest

from tests.worker.payloads import record
from worker.errors import Fatal
from worker.kafka.partition_range import PartitionRange
from worker.moves.counts import Outcomes
from worker.replay.report.tally import Reading, Tally
from worker.replay.run.progress import PartitionProgress, mark_batch

PLACE = ("chat-events", 0)


def progress(start: int = 10, end: int = 20, committed: int | None = None) -> PartitionProgress:
    """Return the progress of one partition at its start."""
    span = PartitionRange(topic=PLACE[0], partition=PLACE[1], start=start, end=end)
    return PartitionProgress.resumed(span, start if committed is None else committed, Tally())


def test_what_is_committed_with_a_batch_lies_behind_the_gaps_that_follow_it() -> None:
    """A restart would else look for records that are not there, and the end of the range might never be committed."""
    one = progress()
    assert one.pass_record(12, taken=True)
    assert one.pass_record(13, taken=False)
    one.pass_to(99)
    mark_batch({PLACE: one}, [record(12)])
    assert one.settled(13, Outcomes(n_verdicts=1)) == (20, Tally(Reading(1, 1, 0), Outcomes(n_verdicts=1)))
    assert one.is_read


def test_a_batch_whose_outcomes_do_not_balance_is_never_committed() -> None:
    """Completeness is checked at every commit, not believed at the end."""
    one = progress()
    one.pass_record(10, taken=True)
    one.mark(11)
    with pytest.raises(Fatal, match="1 records read, but 2 verdicts and 0 dead letters"):
        one.settled(11, Outcomes(n_verdicts=2))


def test_records_outside_the_range_and_records_read_twice_are_not_handed_out() -> None:
    """Behind the end lies live traffic; before the frontier lies what was handed out already."""
    one = progress()
    assert [one.pass_record(offset, taken=True) for offset in (10, 10, 11, 25, 12)] == [True, False, True, False, False]
    assert (one.reading.n_read, one.frontier, one.n_left) == (2, 20, 0)


def test_a_hole_is_counted_up_to_the_end_of_the_range_only() -> None:
    """What retention took behind the end is another replay's loss."""
    one = progress()
    one.pass_record(10, taken=True)
    assert one.lose_to(15) == 4
    assert one.lose_to(14) == 0
    assert one.lose_to(1_000) == 5
    assert (one.reading, one.is_read) == (Reading(1, 0, 9), True)
