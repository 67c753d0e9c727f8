"""Which newer values no worker can have written. Every other newer value is to be left alone."""

import time

import pytest

from schemas import Source
from worker.cache.entries import marker_entry
from worker.cache.forged import CERTAIN_AFTER_S, Stale, Suspects, forged_values

END = 100
ENTRY = marker_entry("c", Source(topic="live", partition=0, offset=7, timestamp_ms=1_000), "schema_error")
IN_A_YEAR_MS = round((time.time() + 31_536_000) * 1_000)


def is_forged(
    topic: str = "live", partition: str = "0", offset: str = "8", timestamp_ms: str = "1", end: int | None = END
) -> bool:
    """Say whether a value that names this record is found to be forged."""
    stale = Stale(ENTRY, b"{}", topic, partition, offset, timestamp_ms)
    found = forged_values([stale], lambda topic, partition: end if (topic, partition) == ("live", 0) else 0)
    return stale in found.certain + found.by_end


@pytest.mark.parametrize("offset", ["8", str(END - 1)])
def test_a_value_on_a_record_that_exists_is_never_taken_for_forged(offset: str) -> None:
    """A worker that the group has dropped meets its successor's verdicts, which must stay."""
    assert not is_forged(offset=offset)


@pytest.mark.parametrize("offset", [str(END), "9000000000000000", "inf", "nan", "9" * 400])
def test_a_value_on_a_record_that_does_not_exist_yet_is_forged(offset: str) -> None:
    """It would stand there until its TTL ends."""
    assert is_forged(offset=offset)


def test_where_no_broker_tells_the_end_nothing_is_forged() -> None:
    """Not knowing is no reason to let an older verdict in."""
    assert not is_forged(offset="9000000000000000", end=None)


def test_a_value_on_a_partition_that_does_not_exist_is_forged() -> None:
    """Partitions are added and never taken away."""
    assert is_forged(partition="4000000000", offset="0")


def test_beside_another_topic_a_timestamp_in_the_future_is_forged() -> None:
    """There the timestamps alone are compared; a clock that is an hour ahead is still believed."""
    in_an_hour_ms = round((time.time() + 3_600) * 1_000)
    assert is_forged(topic="elsewhere", timestamp_ms=str(IN_A_YEAR_MS))
    assert not is_forged(topic="elsewhere", timestamp_ms=str(in_an_hour_ms))


def test_on_its_own_partition_a_record_may_have_any_timestamp() -> None:
    """There the offsets are compared, and a producer stamps as it likes."""
    assert not is_forged(timestamp_ms=str(IN_A_YEAR_MS))


def test_the_end_of_a_partition_is_asked_for_once() -> None:
    """Whoever plants many values must not buy as many questions to the brokers."""
    asked: list[tuple[str, int]] = []

    def end_of(topic: str, partition: int) -> int:
        asked.append((topic, partition))
        return END

    stale = [Stale(ENTRY, b"{}", "live", "0", str(offset), "1") for offset in range(98, 103)]
    assert [one.offset for one in forged_values(stale, end_of).by_end] == ["100", "101", "102"]
    assert asked == [("live", 0)]


class Clock:
    """Seconds, set by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


BEYOND = Stale(ENTRY, b"{}", "live", "0", "9000", "1")


def test_one_answer_of_a_broker_makes_no_value_forged() -> None:
    """A leader that was cut off answered with the end that it had known, and verdicts that were newer went away."""
    clock = Clock()
    suspects = Suspects(clock)
    assert suspects.settled([ENTRY], [BEYOND]) == []
    assert suspects.due() == []
    clock.now_s += CERTAIN_AFTER_S
    assert suspects.due() == [ENTRY]
    assert suspects.settled([ENTRY], []) == []
    assert suspects.due() == []


def test_a_value_that_a_later_answer_finds_beyond_the_end_too_is_forged() -> None:
    """The chat says nothing more meanwhile, or something: the entry that is to stand there is the newest."""
    clock = Clock()
    suspects = Suspects(clock)
    newer = marker_entry("c", ENTRY.source.model_copy(update={"offset": 8}), "schema_error")
    suspects.settled([ENTRY], [BEYOND])
    clock.now_s += CERTAIN_AFTER_S / 2
    assert suspects.settled([newer], [BEYOND._replace(entry=newer)]) == []
    clock.now_s += CERTAIN_AFTER_S / 2
    assert suspects.due() == [newer]
    assert suspects.settled([newer], [BEYOND._replace(entry=newer)]) == [BEYOND._replace(entry=newer)]
    assert suspects.due() == []


def test_another_value_in_the_same_place_is_waited_for_anew() -> None:
    """What was suspicious may have been overwritten since."""
    clock = Clock()
    suspects = Suspects(clock)
    suspects.settled([ENTRY], [BEYOND])
    clock.now_s += CERTAIN_AFTER_S
    assert suspects.settled([ENTRY], [BEYOND._replace(stored=b"{1}")]) == []
    assert suspects.due() == []


def test_many_suspicious_values_cost_no_memory() -> None:
    """Whoever can write to Redis must not fill the worker."""
    suspects = Suspects(Clock())
    many = [marker_entry(f"c{number}", ENTRY.source, "schema_error") for number in range(2_000)]
    suspects.settled(many, [BEYOND._replace(entry=entry) for entry in many])
    assert len(suspects._seen) == 1_000
