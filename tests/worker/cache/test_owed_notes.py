"""The note beside a committed offset: what a successor must know, and no offset committed that is not the group's."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from worker.cache.owed_entries import OwedRange, Partition
from worker.cache.owed_notes import OwedNotes, from_note, to_note

P0, P1 = ("chat-events", 0), ("chat-events", 1)


@dataclass
class Cache:
    """A cache that owes what it is told."""

    owed: dict[Partition, int] = field(default_factory=dict)
    taken_over: list[OwedRange] = field(default_factory=list)

    def owed_from(self) -> Mapping[Partition, int]:
        """Return the lowest owed offsets."""
        return self.owed

    def owe_range(self, owed: OwedRange) -> None:
        """Take over."""
        self.taken_over.append(owed)


def test_a_note_comes_back_as_it_was() -> None:
    """What one version writes it reads."""
    assert from_note(to_note(17)) == 17


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{",
        "[]",
        "7",
        '{"owed_from":5}',
        '{"version":2,"owed_from":5}',
        '{"version":1,"owed_from":true}',
        '{"version":1,"owed_from":-1}',
        '{"version":1,"owed_from":"5"}',
        '{"reading":{"n_read":5}}',
    ],
)
def test_another_text_beside_an_offset_is_no_debt(text: str | None) -> None:
    """A replay keeps its tally there, other clients what they like."""
    assert from_note(text) is None


def test_what_the_last_owner_owed_is_taken_over() -> None:
    """From the lowest owed offset up to where the new owner begins to judge."""
    cache = Cache()
    notes = OwedNotes(cache)
    notes.found(P0, 90, to_note(40))
    notes.found(P1, 90, "")
    notes.take_over(P0, 90)
    notes.take_over(P1, 90)
    notes.take_over(("chat-events", 2), 5)
    assert cache.taken_over == [OwedRange("chat-events", 0, 40, 90)]


def test_of_a_topic_that_was_made_again_no_offset_is_owed_that_it_does_not_have() -> None:
    """Reading up to there would wait for records that never come."""
    cache = Cache()
    notes = OwedNotes(cache)
    notes.found(P0, 90, to_note(40))
    notes.take_over(P0, 12)
    assert cache.taken_over == []


def test_a_commit_names_what_is_owed_before_its_offset() -> None:
    """What is owed behind it belongs to a batch that was aborted: whoever comes next judges that itself."""
    cache = Cache({P0: 40, P1: 100})
    notes = OwedNotes(cache)
    assert notes.beside({P0: 50, P1: 100, ("chat-events", 2): 7}) == {P0: to_note(40)}


def test_a_note_is_renewed_where_it_says_too_little_or_the_debt_is_paid_and_nowhere_else() -> None:
    """An idle worker commits only for that: each time costs a transaction."""
    cache = Cache()
    notes = OwedNotes(cache)
    notes.committed({P0: 50, P1: 60}, {})
    assert notes.outdated() == {}
    cache.owed = {P0: 45, P1: 60}
    assert notes.outdated() == {P0: 50}
    notes.committed({P0: 50}, notes.beside({P0: 50}))
    assert notes.outdated() == {}
    cache.owed = {P0: 48}
    assert notes.outdated() == {}, "45 covers 48"
    cache.owed = {P0: 30}
    assert notes.outdated() == {P0: 50}
    cache.owed = {}
    assert notes.outdated() == {P0: 50}
    notes.committed({P0: 50}, {})
    assert notes.outdated() == {}


def test_no_offset_is_committed_of_a_partition_that_was_given_away_or_moved_on() -> None:
    """It would take its new owner's offset back, and records would be judged twice."""
    cache = Cache({P0: 45})
    notes = OwedNotes(cache)
    notes.committed({P0: 50}, {})
    notes.found(P0, 80, "")
    assert notes.outdated() == {P0: 80}
    notes.released(P0)
    assert notes.outdated() == {}


def test_the_note_of_a_partition_stands_until_its_debt_is_taken_over() -> None:
    """A commit in flight beside the assignment would take it away while nobody owes it yet."""
    cache = Cache()
    notes = OwedNotes(cache)
    notes.found(P0, 90, to_note(40))
    assert notes.outdated() == {}
    notes.take_over(P0, 90)
    cache.owed = {P0: 40}
    assert notes.outdated() == {}
    cache.owed = {}
    assert notes.outdated() == {P0: 90}
