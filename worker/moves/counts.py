"""Verdicts counted against older ones, or against another model's. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Any, Final

from schemas import Decision

DECISIONS: Final = tuple(decision.value for decision in Decision)
"""In the order allow, review, block: a later one is stricter."""

Move = tuple[str, str]
"""What was said before and what is said now: two category codes, or two decisions."""

MOST_CATEGORY_MOVES: Final = 50
"""Category moves that are told apart in an account; the rest of them count together."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What was published."""

    n_verdicts: int = 0
    n_dead_letters: int = 0
    n_compared: int = 0
    """Verdicts on records that had an older verdict of the same taxonomy."""
    n_changed: int = 0
    """Of those, the ones with another category or decision."""
    categories: Mapping[Move, int] = field(default_factory=dict)
    """By move between two categories of one taxonomy; a replay leaves out what stayed the same."""
    decisions: Mapping[Move, int] = field(default_factory=dict)
    """By move between two decisions; a replay leaves out what stayed the same."""
    n_other_categories: int = 0
    """Category moves that are not in `categories`, because others were commoner."""

    def __add__(self, other: "Outcomes") -> "Outcomes":
        """Return the sum; it copies all moves, so that many are added with an `OutcomeCounter`."""
        counter = OutcomeCounter()
        counter.add(self)
        counter.add(other)
        return counter.total()


class OutcomeCounter:
    """Adds up the outcomes of many records, each in the time of its own moves."""

    def __init__(self) -> None:
        self._n_verdicts = 0
        self._n_dead_letters = 0
        self._n_compared = 0
        self._n_changed = 0
        self._n_other_categories = 0
        self._categories: Counter[Move] = Counter()
        self._decisions: Counter[Move] = Counter()

    def add(self, outcomes: Outcomes) -> None:
        """Count these too."""
        self._n_verdicts += outcomes.n_verdicts
        self._n_dead_letters += outcomes.n_dead_letters
        self._n_compared += outcomes.n_compared
        self._n_changed += outcomes.n_changed
        self._n_other_categories += outcomes.n_other_categories
        self._categories.update(outcomes.categories)
        self._decisions.update(outcomes.decisions)

    def total(self) -> Outcomes:
        """Return what was counted so far."""
        return Outcomes(
            self._n_verdicts,
            self._n_dead_letters,
            self._n_compared,
            self._n_changed,
            dict(self._categories),
            dict(self._decisions),
            self._n_other_categories,
        )


def commonest(moves: Mapping[Move, int], n: int = MOST_CATEGORY_MOVES) -> tuple[dict[Move, int], int]:
    """Return the first moves, real ones before what stayed the same, the commonest first; and the sum of the others."""
    first = nsmallest(n, moves.items(), key=lambda item: (item[0][0] == item[0][1], -item[1], item[0]))
    return dict(first), sum(moves.values()) - sum(count for _, count in first)


def named_moves(outcomes: Outcomes) -> dict[str, Any]:
    """Return the moves as JSON holds them: `allow>block` or `A>B` to a count, and the number of all other moves."""
    categories, n_rare = commonest(outcomes.categories)
    return {
        "decisions": {f"{was}>{now}": n for (was, now), n in sorted(outcomes.decisions.items())},
        "categories": {f"{was}>{now}": n for (was, now), n in sorted(categories.items())},
        "n_other_categories": outcomes.n_other_categories + n_rare,
    }
