"""Lag in seconds: it grows while nothing is committed, and is nothing where nothing waits."""

import pytest
import structlog
from prometheus_client import generate_latest

from worker.process.lag_age import LagAge
from worker.process.metrics import Metrics
from worker.record import Record

_START_S = 1_700_000_000.0


class Clock:
    """A wall clock that stands still until it is set."""

    now_s = _START_S

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


def _records(*offsets: int, partition: int = 0, written_s: float = _START_S) -> list[Record]:
    """Records written one second apart."""
    return [Record("chats", partition, o, round((written_s + o) * 1_000), None, b"{}") for o in offsets]


def test_it_is_the_age_of_the_oldest_record_in_hand() -> None:
    """Two batches are in hand at once: one commits while the next is classified."""
    clock = Clock()
    age = LagAge(clock)
    age.read(_records(0, 1))
    age.read(_records(2, 3))
    clock.now_s = _START_S + 10
    assert age.seconds() == {("chats", 0): 10.0}
    age.committed(_records(0, 1))
    assert age.seconds() == {("chats", 0): 8.0}
    age.committed(_records(2, 3))
    assert age.seconds() == {("chats", 0): 0.0}


def test_it_grows_while_the_worker_is_stuck() -> None:
    """The figure is made when it is asked for; a stuck loop could not update one."""
    clock = Clock()
    age = LagAge(clock)
    age.read(_records(0))
    for elapsed_s in (1.0, 60.0, 3_600.0):
        clock.now_s = _START_S + elapsed_s
        assert age.seconds() == {("chats", 0): elapsed_s}


def test_between_two_batches_what_waits_on_the_broker_counts() -> None:
    """Without that a lagging worker would show 0 in the moment between a commit and the next poll."""
    clock = Clock()
    age = LagAge(clock)
    age.read(_records(0, 1))
    age.waiting("chats", 0, 500)
    age.committed(_records(0, 1))
    clock.now_s = _START_S + 30
    assert age.seconds() == {("chats", 0): 29.0}
    age.waiting("chats", 0, 0)
    assert age.seconds() == {("chats", 0): 0.0}


def test_what_waits_unread_has_come_since_the_last_look_at_which_nothing_waited() -> None:
    """A partition may be quiet for hours: its newest record says nothing of those that cannot be read now."""
    clock = Clock()
    age = LagAge(clock)
    age.read(_records(0))
    age.committed(_records(0))
    clock.now_s = _START_S + 36_000
    age.waiting("chats", 0, 0)
    clock.now_s += 5
    age.waiting("chats", 0, 50)
    clock.now_s += 5
    assert age.seconds() == {("chats", 0): 10.0}


def test_a_partition_that_was_never_read_has_a_lag_from_the_first_look_on() -> None:
    """Its records may be those that nobody can read."""
    clock = Clock()
    age = LagAge(clock)
    age.assigned("chats", 0)
    assert age.seconds() == {("chats", 0): 0.0}
    age.waiting("chats", 0, 50)
    clock.now_s += 92
    age.waiting("chats", 0, 50)
    assert age.seconds() == {("chats", 0): 92.0}


def test_a_batch_that_is_read_again_keeps_its_age_and_is_counted_once() -> None:
    """Aborts in a row must show as lag."""
    clock = Clock()
    age = LagAge(clock)
    age.read(_records(0, 1, 2))
    clock.now_s = _START_S + 20
    age.read(_records(0, 1))
    assert age.seconds() == {("chats", 0): 20.0}
    age.committed(_records(0, 1))
    assert age.seconds() == {("chats", 0): 0.0}


def test_a_partition_that_was_taken_away_is_forgotten() -> None:
    """Its lag is its next owner's; a commit that ends afterwards changes nothing."""
    clock = Clock()
    age = LagAge(clock)
    age.read(_records(0) + _records(0, partition=1))
    age.released("chats", 0)
    age.committed(_records(0))
    age.waiting("chats", 0, 5)
    clock.now_s = _START_S + 5
    assert age.seconds() == {("chats", 1): 5.0}


def test_two_topics_of_a_replay_are_kept_apart() -> None:
    """Both have a partition 0: what is committed of one says nothing of the other."""
    clock = Clock()
    age = LagAge(clock)
    age.read(_records(0, 1))
    age.read([record._replace(topic="more-chats") for record in _records(0)])
    age.committed(_records(0, 1))
    clock.now_s = _START_S + 9
    assert age.seconds() == {("chats", 0): 0.0, ("more-chats", 0): 9.0}
    age.released("chats", 0)
    assert age.seconds() == {("more-chats", 0): 9.0}


def test_clock_skew_and_missing_timestamps_are_no_lag() -> None:
    """F33: a record from the future is not older than now, one without a time is of no age."""
    age = LagAge(Clock())
    age.read(_records(0, written_s=_START_S + 900))
    age.read([Record("chats", 1, 0, -1, None, b"{}")])
    assert age.seconds() == {("chats", 0): 0.0, ("chats", 1): 0.0}


@pytest.mark.parametrize("factor", [1e-3, 1e3, 1e6])
def test_a_timestamp_in_another_unit_is_none(factor: float) -> None:
    """In seconds it said a lag of 56 years, in microseconds none whatever waits; one line tells of all of them."""
    n_implausible: list[int] = []
    clock = Clock()
    age = LagAge(clock, on_implausible=n_implausible.append)
    good = _records(0, 1, 2, 3)
    wrong = [one._replace(timestamp_ms=round(one.timestamp_ms * factor)) for one in good]
    with structlog.testing.capture_logs() as lines:
        age.read(wrong[:2])
        age.read([wrong[2], good[3]])
    assert n_implausible == [2, 1]
    assert [line["event"] for line in lines] == ["record_timestamp_implausible"]
    clock.now_s = _START_S + 10
    age.committed(good[:2])
    assert age.seconds() == {("chats", 0): 7.0}
    age.waiting("chats", 0, 5)
    age.committed(good[2:])
    assert age.seconds() == {("chats", 0): 7.0}


def test_the_metric_is_exposed_per_partition() -> None:
    """With the unit in its name and the topic and the partition as its only labels."""
    metrics = Metrics()
    metrics.lag_age.read(_records(0, partition=3))
    lines = generate_latest(metrics.registry).decode().splitlines()
    assert any(line.startswith('moderation_lag_seconds{partition="3",topic="chats"} ') for line in lines)
