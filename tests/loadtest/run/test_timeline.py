import numpy as np
import pytest

from loadtest.run.compact_ledger import CompactLedger
from loadtest.run.schedule import Schedule
from loadtest.run.timeline import WorkerSeries, recovery, timeline
from testkit.topics import Topics


def _burst(latency_s: dict[int, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return due and answered times of a burst from 2 s to 4 s; latency by the second in which an event is due."""
    due = np.array(Schedule.burst(rate_per_s=20, factor=4, at_s=2, burst_s=2, duration_s=12).due_s)
    late = np.array([latency_s.get(int(one), 0.01) for one in due])
    return due, due + late


def test_recovery_counts_from_the_end_of_the_burst_to_the_first_stretch_under_the_limit() -> None:
    """Two bad seconds after the end: events due from 6 s on are in time again."""
    due, answered = _burst({2: 0.5, 3: 2.0, 4: 1.5, 5: 0.3})
    found = recovery(due, answered, burst_s=(2, 4), limit_ms=100)
    assert found["recovery_s"] == 2
    assert found["burst_p99_ms"] == pytest.approx(2_000)
    assert found["n_stretches_over_later"] == 0


def test_a_burst_that_nobody_noticed_is_recovered_from_at_once() -> None:
    """The answer is 0, not nothing."""
    due, answered = _burst({})
    assert recovery(due, answered, burst_s=(2, 4), limit_ms=100)["recovery_s"] == 0


def test_a_lucky_second_is_no_recovery_and_a_later_slow_one_is_told() -> None:
    """Only three good stretches in a row count; what comes after them is not hidden."""
    due, answered = _burst({4: 1.0, 6: 1.0, 10: 1.0})
    found = recovery(due, answered, burst_s=(2, 4), limit_ms=100)
    assert (found["recovery_s"], found["n_stretches_over_later"]) == (3, 1)


def test_one_late_chat_in_a_hundred_breaks_a_stretch_and_a_lost_one_does_too() -> None:
    """Of 20 chats a second the slowest is the p99; one that never came is slower than any."""
    due, answered = _burst({})
    answered[np.flatnonzero(due >= 5)[0]] = np.nan
    assert recovery(due, answered, burst_s=(2, 4), limit_ms=100)["recovery_s"] == 2


def test_a_load_that_ends_before_it_recovers_has_no_recovery_time() -> None:
    """None, so that nobody takes it for a small number."""
    due, answered = _burst(dict.fromkeys(range(4, 12), 1.0))
    assert recovery(due, answered, burst_s=(2, 4), limit_ms=100)["recovery_s"] is None


def test_each_second_tells_what_was_sent_answered_and_waits_and_latency_by_the_time_it_was_due() -> None:
    """A stall shows in the second it hit, and its backlog until it is gone."""
    due, answered = np.array([0.0, 0.5, 1.0, 1.5]), np.array([0.25, 2.5, 2.6, np.nan])
    line = timeline(due, answered, [])
    assert line["second"] == [0, 1, 2]
    assert line["sent"] == [2, 2, 0]
    assert line["answered"] == [1, 0, 2]
    assert line["unanswered"] == [1, 3, 1]
    assert line["p99_ms"] == [2_000, 1_600, None]
    assert line["p50_ms"] == [2_000, 1_600, None]


def test_workers_are_put_side_by_side_the_largest_memory_and_the_sum_of_cpu() -> None:
    """Two workers, one of which grows; each uses half a core."""
    at_s = np.array([0.0, 1.0, 2.0])
    workers = [
        WorkerSeries(at_s, np.array([100.0, 150.0, 300.0]), at_s / 2 + 7),
        WorkerSeries(at_s, np.array([200.0, 200.0, 200.0]), at_s / 2),
    ]
    line = timeline(np.array([0.0, 1.0]), np.array([0.1, 1.1]), workers)
    assert line["rss_mb"] == [200, 300]
    assert line["cpu_cores"] == [1, 1]


def test_the_ledger_hands_out_times_of_what_was_sent_and_grows_where_more_comes() -> None:
    """A soak does not know beforehand how many events it will send."""
    ledger = CompactLedger(Topics("broker:1", "events", "verdicts", "dlq", "group", 3), "run")
    for sequence in range(3):
        ledger.handed_over(sequence, 10.0 + sequence)
    ledger.answered("run:2", 20.0)
    due, answered = ledger.times()
    assert due.tolist() == [10, 11, 12]
    assert np.isnan(answered).tolist() == [True, True, False]
    assert answered[2] == 20
