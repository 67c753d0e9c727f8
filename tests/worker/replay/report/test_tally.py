"""Tallies: they add up, balance, and come back from the note beside an offset."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import CODES
from worker.moves.counts import Outcomes
from worker.replay.report.tally import MAX_NOTE_BYTES, Reading, Tally, total

COUNTS = st.integers(min_value=0, max_value=2**40)


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
