"""Verdicts counted against older ones, or against another model's. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas import Decision

DECISIONS: Final = tuple(decision.value for decision in Decision)
"""In the order allow, review, block: a later one is stricter."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What was published."""

    n_verdicts: int = 0
    n_dead_letters: int = 0
    n_compared: int = 0
    """Verdicts on records that had an older verdict."""
    n_changed: int = 0
    """Of those, the ones with another category or decision."""
    categories: Mapping[str, int] = field(default_factory=dict)
    """Moves: old and new code, to a count; unchanged ones are left out."""
    decisions: Mapping[str, int] = field(default_factory=dict)
    """Moves: first letters of the old and the new decision, to a count."""

    def __add__(self, other: "Outcomes") -> "Outcomes":
        return Outcomes(
            self.n_verdicts + other.n_verdicts,
            self.n_dead_letters + other.n_dead_letters,
            self.n_compared + other.n_compared,
            self.n_changed + other.n_changed,
            dict(Counter(self.categories) + Counter(other.categories)),
            dict(Counter(self.decisions) + Counter(other.decisions)),
        )


def named_moves(outcomes: Outcomes) -> dict[str, dict[str, int]]:
    """Return the moves as JSON holds them: `allow>block` or `A>B` to a count."""
    names = {name[0]: name for name in DECISIONS}
    return {
        "decisions": {f"{names[move[0]]}>{names[move[1]]}": n for move, n in sorted(outcomes.decisions.items())},
        "categories": {f"{move[0]}>{move[1]}": n for move, n in sorted(outcomes.categories.items())},
    }
