"""What became of the records of one partition so far. Pure.

A tally is committed with the offset that it counts up to, in the same transaction, as the text that Kafka keeps beside
a committed offset. So it survives every crash, is never ahead of or behind the verdicts, and any process can read it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

import orjson

from worker.moves.counts import Outcomes

MAX_NOTE_BYTES: Final = 4_000
"""Below Kafka's default `offset.metadata.max.bytes` of 4,096. All 156 category moves with eight digits take 2,100."""


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
        """Return the tally as a short text."""
        reading, outcomes = self.reading, self.outcomes
        fields = {
            "r": reading.n_read,
            "s": reading.n_skipped,
            "l": reading.n_lost,
            "v": outcomes.n_verdicts,
            "d": outcomes.n_dead_letters,
            "o": outcomes.n_compared,
            "x": outcomes.n_changed,
            "c": dict(outcomes.categories),
            "m": dict(outcomes.decisions),
        }
        return orjson.dumps(fields).decode()

    @classmethod
    def from_note(cls, note: str | None) -> Self:
        """Read what `to_note` wrote.

        Raises:
            ValueError: the text is not a tally.
        """
        try:
            fields = orjson.loads(note or "")
            reading = Reading(fields["r"], fields["s"], fields["l"])
            outcomes = Outcomes(fields["v"], fields["d"], fields["o"], fields["x"], fields["c"], fields["m"])
        except (KeyError, TypeError, orjson.JSONDecodeError) as error:
            raise ValueError(f"{note!r} is not the tally of a replay; expected what a replay commits") from error
        return cls(reading, outcomes)


def total(tallies: Iterable[Tally]) -> Tally:
    """Add tallies up."""
    return sum(tallies, Tally())
