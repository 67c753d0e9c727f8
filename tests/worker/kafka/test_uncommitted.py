"""Since when nothing could be committed, and what ends that."""

import pytest

from worker.kafka.uncommitted import Uncommitted

A, B = ("chat-events", 0), ("chat-events", 1)


class Clock:
    """Seconds that a test moves on."""

    now_s = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """Return a clock."""
    return Clock()


@pytest.fixture
def stuck(clock: Clock) -> Uncommitted:
    """Return one that has tried for 40 s to commit offsets 10 and 20, twice."""
    found = Uncommitted(clock)
    found.tried({A: 10, B: 20})
    clock.now_s += 25
    found.tried({A: 8})
    clock.now_s += 15
    return found


def test_it_counts_from_the_first_try_on(stuck: Uncommitted) -> None:
    """A batch that is read again in smaller ones is no progress."""
    assert stuck.seconds == 40


def test_any_commit_is_progress(stuck: Uncommitted, clock: Clock) -> None:
    """And the next try counts anew."""
    stuck.done()
    assert stuck.seconds == 0
    stuck.tried({A: 12})
    clock.now_s += 3
    assert stuck.seconds == 3


def test_offsets_that_belong_to_others_are_theirs_to_commit(stuck: Uncommitted) -> None:
    """Or a worker would stay unready for a batch that another one has judged."""
    stuck.released([A])
    assert stuck.seconds == 40
    stuck.released([B])
    assert stuck.seconds == 0


def test_a_commit_in_doubt_that_went_through_shows_in_the_committed_offsets(stuck: Uncommitted) -> None:
    """Nothing may come after it for hours."""
    stuck.found(A, 7)
    stuck.found(B, None)
    assert stuck.seconds == 40
    stuck.found(A, 8)
    stuck.found(B, 20)
    assert stuck.seconds == 0


def test_nothing_to_commit_is_no_trouble(clock: Clock) -> None:
    """An idle worker is ready."""
    idle = Uncommitted(clock)
    clock.now_s += 1_000
    idle.found(A, 5)
    assert idle.seconds == 0
