"""The account of a replay: tallies, progress over gaps and holes, ranges, and which records are asked for."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import CODES, DeadLetter, RejectionReason
from tests.worker.payloads import record
from worker.errors import Fatal, SettingsError
from worker.kafka.ranges import Found, Limits, one_range
from worker.replay.plan.replay_plan import PartitionRange
from worker.replay.plan.request import Span, chats_digest, parse_span
from worker.replay.plan.selection import Selection, with_origin
from worker.replay.report.tally import MAX_NOTE_BYTES, Outcomes, Reading, Tally, total
from worker.replay.run.progress import PartitionProgress, mark_batch

PLACE = ("chat-events", 0)
COUNTS = st.integers(min_value=0, max_value=2**40)


def progress(start: int = 10, end: int = 20, committed: int | None = None) -> PartitionProgress:
    """Return the progress of one partition at its start."""
    span = PartitionRange(topic=PLACE[0], partition=PLACE[1], start=start, end=end)
    return PartitionProgress.resumed(span, start if committed is None else committed, Tally())


@given(st.builds(Reading, COUNTS, COUNTS, COUNTS), COUNTS, COUNTS, st.dictionaries(st.sampled_from(CODES), COUNTS))
def test_a_tally_comes_back_from_its_note(reading: Reading, n: int, m: int, moves: dict[str, int]) -> None:
    """The note beside the committed offset is all that is left of a process that was killed."""
    tally = Tally(reading, Outcomes(n, m, n, m, {f"A{code}": count for code, count in moves.items()}, {"ar": n}))
    assert Tally.from_note(tally.to_note()) == tally


def test_the_largest_note_fits_what_kafka_keeps_beside_an_offset() -> None:
    """A note that the broker refuses would end the replay."""
    categories = {was + now: 10**8 for was in CODES for now in CODES if was != now}
    decisions = {was + now: 10**8 for was in "arb" for now in "arb"}
    largest = Tally(Reading(10**12, 10**12, 10**12), Outcomes(10**12, 10**12, 10**12, 10**12, categories, decisions))
    assert len(largest.to_note()) < MAX_NOTE_BYTES


@pytest.mark.parametrize("note", [None, "", "{}", "[]", "x", '{"r":1}'])
def test_a_note_of_something_else_is_refused(note: str | None) -> None:
    """An offset that another program committed must not pass for the account of a replay."""
    with pytest.raises(ValueError, match="not the tally of a replay"):
        Tally.from_note(note)


def test_tallies_add_up_move_by_move() -> None:
    """The report is the sum of its partitions."""
    one = Tally(Reading(3, 1, 0), Outcomes(2, 1, 2, 1, {"AB": 1}, {"ar": 1}))
    assert total([one, one]) == Tally(Reading(6, 2, 0), Outcomes(4, 2, 4, 2, {"AB": 2}, {"ar": 2}))
    assert one.balances
    assert not replace(one, reading=Reading(4, 1, 0)).balances


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3:10-20", Span(topic="t", partition=3, start=10, end=20)),
        ("t:3:10-", Span(topic="t", partition=3, start=10, end=None)),
        ("3:-20", Span(topic="t", partition=3, start=None, end=20)),
    ],
)
def test_offsets_are_read_as_written(text: str, expected: Span) -> None:
    """Open ends are the partition's own limits."""
    assert parse_span(text, ("t",)) == expected


@pytest.mark.parametrize("text", ["", "3", "3:20-10", "u:3:1-2", "3:a-b", "-1:1-2"])
def test_offsets_that_say_nothing_are_refused(text: str) -> None:
    """Each with what was found and what was expected."""
    with pytest.raises(SettingsError, match="expected"):
        parse_span(text, ("t",))


def test_a_digest_of_chats_depends_on_the_set_alone() -> None:
    """Two pods may list the same chats in another order, and chat ids may hold anything."""
    assert chats_digest(["a", "bc"]) == chats_digest(["bc", "a"]) != chats_digest(["ab", "c"])


def letter(**fields: Any) -> DeadLetter:
    """Return the headers of a dead letter."""
    complete = {
        "reason": RejectionReason.TOO_LARGE,
        "error": "x",
        "origin_topic": "chat-events",
        "origin_partition": 2,
        "origin_offset": 77,
        "origin_timestamp_ms": 5,
    }
    return DeadLetter.model_validate(complete | fields)


def test_only_what_is_asked_for_is_taken() -> None:
    """By the record's own clock, by chat, by reason; a chat is known by the key, else by the value."""
    one = record(5)
    assert Selection(since_ms=1_005, until_ms=1_006).takes(one)
    assert not Selection(since_ms=1_006).takes(one)
    assert not Selection(until_ms=1_005).takes(one)
    assert Selection(chats=frozenset({b"key"})).takes(one)
    assert not Selection(chats=frozenset({b"chat-5"})).takes(one)
    assert Selection(chats=frozenset({b"chat-5"})).takes(one._replace(key=None))
    assert not Selection(chats=frozenset({b"chat-5"})).takes(one._replace(key=None, value=b"{"))
    only = Selection(reasons=frozenset({RejectionReason.TOO_LARGE}))
    assert only.takes(one, letter())
    assert not only.takes(one, letter(reason=RejectionReason.SCHEMA_ERROR))
    assert not only.takes(one, None)


def test_a_dead_letter_answers_for_the_record_it_was_and_is_counted_where_it_was_read() -> None:
    """The compare-and-set of the cache goes by the origin, the committed offset by the dead-letter topic."""
    redriven = with_origin(record(5), letter(truncated_from_bytes=9))
    assert redriven.place == ("chat-events", 0, 5)
    source = redriven.source
    assert (source.topic, source.partition, source.offset, source.timestamp_ms) == ("chat-events", 2, 77, 5)
    assert with_origin(record(5), None) == record(5)
