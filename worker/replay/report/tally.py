"""What became of the records of one partition so far. Pure.

A tally is committed with the offset that it counts up to, in the same transaction, as the text that Kafka keeps beside
a committed offset. So it survives every crash, is never ahead of or behind the verdicts, and any process can read it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import orjson

from worker.moves.counts import DECISIONS, Move, Outcomes, commonest

MAX_NOTE_BYTES: Final = 4_000
"""Below Kafka's default `offset.metadata.max.bytes` of 4,096. The 50 category moves that a note tells apart take 800
with codes of one letter and 2,700 with codes of 20; of longer codes fewer moves fit."""

_BETWEEN: Final = ">"
"""Stands in no code."""
_BY_LETTER: Final = {name[0]: name for name in DECISIONS}


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found between the start and the current offset."""

    n_read: int = 0
    """Records that were taken."""
    n_skipped: int = 0
    """Records that the replay does not ask for."""
    n_lost: int = 0
    """Offsets that retention deleted before they were read: at most this many records."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The account of one partition up to a committed offset."""

    reading: Reading = Reading()
    outcomes: Outcomes = field(default_factory=Outcomes)

    @property
    def balances(self) -> bool:
        """Whether every record that was read ended as exactly one verdict or dead letter."""
        return self.reading.n_read == self.outcomes.n_verdicts + self.outcomes.n_dead_letters

    def __add__(self, other: "Tally") -> "Tally":
        mine, theirs = self.reading, other.reading
        return Tally(
            Reading(mine.n_read + theirs.n_read, mine.n_skipped + theirs.n_skipped, mine.n_lost + theirs.n_lost),
            self.outcomes + other.outcomes,
        )

    def to_note(self) -> str:
        """Return the tally as a short text.

        It tells the commonest category moves apart and counts the others together: the numbers of single moves are at
        least what was found where a partition changes hands, their sum is exact.
        """
        told, n_rare = commonest(self.outcomes.categories)
        while len(note := orjson.dumps(self._fields(told, n_rare))) > MAX_NOTE_BYTES and told:
            _, count = told.popitem()  # the rarest of them stands last
            n_rare += count
        return note.decode()

    def _fields(self, categories: Mapping[Move, int], n_rare: int) -> dict[str, Any]:
        reading, outcomes = self.reading, self.outcomes
        return {
            "r": reading.n_read,
            "s": reading.n_skipped,
            "l": reading.n_lost,
            "v": outcomes.n_verdicts,
            "d": outcomes.n_dead_letters,
            "o": outcomes.n_compared,
            "x": outcomes.n_changed,
            "c": {_BETWEEN.join(move): count for move, count in categories.items()},
            "m": {_BETWEEN.join(move): count for move, count in outcomes.decisions.items()},
            "e": outcomes.n_other_categories + n_rare,
        }

    @classmethod
    def from_note(cls, note: str | None) -> Self:
        """Read what `to_note` wrote.

        Raises:
            ValueError: the text is not a tally.
        """
        try:
            fields = orjson.loads(note or "")
            reading = Reading(fields["r"], fields["s"], fields["l"])
            outcomes = Outcomes(
                fields["v"],
                fields["d"],
                fields["o"],
                fields["x"],
                {_category_move(text): count for text, count in fields["c"].items()},
                {_decision_move(text): count for text, count in fields["m"].items()},
                fields.get("e", 0),
            )
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{note!r} is not the tally of a replay; expected what a replay commits") from error
        return cls(reading, outcomes)


def _category_move(text: str) -> Move:
    was, between, now = text.partition(_BETWEEN)
    # Notes of plan format 1 hold two codes of one letter, one behind the other.
    return (was, now) if between else (text[0], text[1:])


def _decision_move(text: str) -> Move:
    was, between, now = text.partition(_BETWEEN)
    return (was, now) if between else (_BY_LETTER[text[0]], _BY_LETTER[text[1:]])


def total(tallies: Iterable[Tally]) -> Tally:
    """Add tallies up."""
    return sum(tallies, Tally())
