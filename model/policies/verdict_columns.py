"""Verdicts of one bundle as columns: what a policy decides by, and little else. In memory of a fixed size.

A verdict as an object takes 8 kB; as a row it takes four bytes a category and about 250 bytes for its chat's name.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from model.policies.thresholds import wire_units
from schemas import DecidedBy, Verdict
from schemas.verdict import IN_PLACE_OF_A_POLICY

UNKNOWN_LENGTH: Final = -1

_Value = TypeVar("_Value")


class Reading(NamedTuple):
    """What limits a decision whatever the evidence says, but for the length."""

    unevaluated: tuple[str, ...]
    language: str | None


class Interventions(NamedTuple):
    """Whether lists, people or earlier decisions stood in place of policies."""

    default: DecidedBy | None
    """In place of the default policy; None: it decided itself."""
    named: tuple[tuple[str, DecidedBy], ...]
    """By policy, those that did not decide themselves."""
    policies: frozenset[str]
    """All policies that the verdict names."""

    def in_place_of(self, policy: str) -> DecidedBy | None:
        """Return what stood in place of a policy, or of the default policy where the verdict does not name it."""
        return dict(self.named).get(policy) if policy in self.policies else self.default


class VerdictColumns:
    """Rows of verdicts; filled row by row, then read as arrays.

    Args:
        codes: The taxonomy's, in the order of the bundle's output columns.
        n_most: Rows that there is room for. Memory is taken as rows are filled.
    """

    def __init__(self, codes: Sequence[str], n_most: int) -> None:
        self.codes = tuple(codes)
        self.n_most = n_most
        self.n = 0
        """Rows that are filled."""
        self.chat_ids: list[str] = []
        self.readings: list[Reading] = []
        """What `reading` counts through."""
        self.interventions: list[Interventions] = []
        """What `intervention` counts through."""
        # A page of an array that nobody has written to costs nothing.
        self._evidence = np.empty((n_most, len(codes)), dtype=np.int32)
        self._category = np.empty(n_most, dtype=np.uint8)
        self._reading = np.empty(n_most, dtype=np.int32)
        self._intervention = np.empty(n_most, dtype=np.int32)
        self._longest = np.empty(n_most, dtype=np.int64)
        self._columns = {code: i for i, code in enumerate(codes)}
        self._known_readings: dict[Reading, int] = {}
        self._known_interventions: dict[Interventions, int] = {}

    @property
    def evidence(self) -> NDArray[np.int32]:
        """int32 [n, n_categories], in units of the wire's last decimal."""
        return self._evidence[: self.n]

    @property
    def category(self) -> NDArray[np.uint8]:
        """uint8 [n], column of the most probable category."""
        return self._category[: self.n]

    @property
    def reading(self) -> NDArray[np.int32]:
        """int32 [n], places in `readings`."""
        return self._reading[: self.n]

    @property
    def intervention(self) -> NDArray[np.int32]:
        """int32 [n], places in `interventions`."""
        return self._intervention[: self.n]

    @property
    def longest(self) -> NDArray[np.int64]:
        """int64 [n], characters of the user's longest message; `UNKNOWN_LENGTH` where a verdict does not say it."""
        return self._longest[: self.n]

    def put(self, row: int, verdict: Verdict) -> None:
        """Write a verdict into a row, the first free one or one that it replaces.

        Args:
            row: At most `n`, and below `n_most`.
            verdict: Of this taxonomy.

        Raises:
            ValueError: it is of other categories.
        """
        if verdict.evidence.keys() != self._columns.keys():
            raise ValueError("the verdict's categories are not the bundle's; expected verdicts of one bundle")
        if row == self.n:
            self.n += 1
            self.chat_ids.append(verdict.chat_id)
        units = wire_units(verdict.evidence)
        self._evidence[row] = [units[code] for code in self.codes]
        self._category[row] = self._columns[verdict.category.code]
        reading = Reading(verdict.unevaluated, verdict.language)
        self._reading[row] = _place(reading, self.readings, self._known_readings)
        self._intervention[row] = _place(_interventions(verdict), self.interventions, self._known_interventions)
        longest = verdict.longest_message
        self._longest[row] = UNKNOWN_LENGTH if longest is None else longest

    def keep(self, rows: NDArray[np.intp]) -> None:
        """Keep some rows alone, in their order.

        Args:
            rows: int [n_kept], ascending.
        """
        for column in (self._evidence, self._category, self._reading, self._intervention, self._longest):
            column[: len(rows)] = column[rows]
        self.chat_ids = [self.chat_ids[row] for row in rows]
        self.n = len(rows)


def _place(value: _Value, values: list[_Value], known: dict[_Value, int]) -> int:
    place = known.setdefault(value, len(values))
    if place == len(values):
        values.append(value)
    return place


def _interventions(verdict: Verdict) -> Interventions:
    named = tuple(
        (name, said.decided_by)
        for name, said in sorted(verdict.decisions.items())
        if said.decided_by in IN_PLACE_OF_A_POLICY
    )
    default = verdict.decided_by if verdict.decided_by in IN_PLACE_OF_A_POLICY else None
    return Interventions(default, named, frozenset(verdict.decisions))
