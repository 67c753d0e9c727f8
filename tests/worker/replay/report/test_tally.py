"""Tallies: they add up, balance, and come back from the note beside an offset."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.moves.counts import DECISIONS, MOST_CATEGORY_MOVES, Move, Outcomes, commonest
from worker.replay.report.tally import MAX_NOTE_BYTES, Reading, Tally, total

COUNTS = st.integers(min_value=0, max_value=2**40)


CODES = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,20}\Z")
MOVES = st.dictionaries(st.tuples(CODES, CODES), COUNTS, max_size=MOST_CATEGORY_MOVES)


@given(st.builds(Reading, COUNTS, COUNTS, COUNTS), COUNTS, COUNTS, MOVES)
def test_a_tally_comes_back_from_its_note(reading: Reading, n: int, m: int, moves: dict[Move, int]) -> None:
    """The note beside the committed offset is all that is left of a process that was killed; codes may be any."""
    tally = Tally(reading, Outcomes(n, m, n, m, moves, {("allow", "review"): n}, m))
    assert Tally.from_note(tally.to_note()) == tally


def largest_tally(codes: list[str]) -> Tally:
    """Return a tally in which every code and every decision has moved to every other one."""
    decisions = {(was, now): 10**8 for was in DECISIONS for now in DECISIONS}
    categories = {move: 10**8 + i for i, move in enumerate(permutations(codes, 2))}
    return Tally(Reading(10**12, 10**12, 10**12), Outcomes(10**12, 10**12, 10**12, 10**12, categories, decisions))


@pytest.mark.parametrize("n_characters", [1, 3, 20, 64])
def test_the_largest_note_fits_what_kafka_keeps_beside_an_offset(n_characters: int) -> None:
    """A note that the broker refuses would end the replay, whatever the taxonomy; no move goes uncounted."""
    n_codes = 13 if n_characters == 1 else 256
    codes = [f"{i:x}".rjust(n_characters, "x") for i in range(n_codes)]
    largest = largest_tally(codes)
    note = largest.to_note()
    assert len(note) <= MAX_NOTE_BYTES
    kept = Tally.from_note(note).outcomes
    assert kept.decisions == largest.outcomes.decisions
    assert sum(kept.categories.values()) + kept.n_other_categories == sum(largest.outcomes.categories.values())
    commonest = sorted(largest.outcomes.categories.values())[-len(kept.categories) :]
    assert sorted(kept.categories.values()) == commonest
    assert len(kept.categories) == MOST_CATEGORY_MOVES or n_characters == 64
    assert len(kept.categories) > 20


def test_moves_are_sorted_once_however_many_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A note is written with every batch, and 256 codes have 65,280 moves."""
    asked: list[int] = []

    def counted(moves: Mapping[Move, int], *n: int) -> tuple[dict[Move, int], int]:
        asked.append(len(moves))
        return commonest(moves, *n)

    monkeypatch.setattr("worker.replay.report.tally.commonest", counted)
    codes = [f"{i:x}".rjust(64, "x") for i in range(20)]
    assert len(Tally.from_note(largest_tally(codes).to_note()).outcomes.categories) < MOST_CATEGORY_MOVES
    assert asked == [20 * 19]


def test_a_note_of_an_earlier_release_is_read() -> None:
    """Its codes and decisions were one letter each, one behind the other; finished redrives are known by such notes."""
    note = '{"r":3,"s":1,"l":0,"v":2,"d":1,"o":2,"x":1,"c":{"AB":1},"m":{"ar":1}}'
    outcomes = Outcomes(2, 1, 2, 1, {("A", "B"): 1}, {("allow", "review"): 1})
    assert Tally.from_note(note) == Tally(Reading(3, 1, 0), outcomes)


@pytest.mark.parametrize(
    "note", [None, "", "{}", "[]", "x", '{"r":1}', '{"r":1,"s":0,"l":0,"v":0,"d":0,"o":0,"x":0,"c":{},"m":{"zz":1}}']
)
def test_a_note_of_something_else_is_refused(note: str | None) -> None:
    """An offset that another program committed must not pass for the account of a replay."""
    with pytest.raises(ValueError, match="not the tally of a replay"):
        Tally.from_note(note)


def test_tallies_add_up_move_by_move() -> None:
    """The report is the sum of its partitions."""
    one = Tally(Reading(3, 1, 0), Outcomes(2, 1, 2, 1, {("A", "B"): 1}, {("allow", "review"): 1}, 4))
    doubled = Outcomes(4, 2, 4, 2, {("A", "B"): 2}, {("allow", "review"): 2}, 8)
    assert total([one, one]) == Tally(Reading(6, 2, 0), doubled)
    assert one.balances
    assert not replace(one, reading=Reading(4, 1, 0)).balances
