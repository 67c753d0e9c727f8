"""When and by whom verdicts were written, as columns: what tells which of two of a chat is the newer."""

from collections.abc import Hashable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from worker.cache.outcome_order import Outcome, Versions

_Value = TypeVar("_Value", bound=Hashable)


class WrittenColumns:
    """Outcomes of verdicts, in 48 bytes each where an object takes 400.

    Args:
        n_most: Rows that there is room for.
    """

    def __init__(self, n_most: int) -> None:
        self._numbers = np.empty((n_most, 5), dtype=np.int64)
        self._who = np.empty((n_most, 2), dtype=np.int32)
        self._topics: list[str] = []
        self._versions: list[Versions | None] = []
        self._places: dict[Hashable, int] = {}

    def put(self, row: int, outcome: Outcome) -> None:
        """Write an outcome into a row."""
        self._numbers[row] = (
            outcome.partition,
            outcome.offset,
            outcome.timestamp_ms,
            outcome.published_ms,
            outcome.revision,
        )
        self._who[row] = (self._place(outcome.topic, self._topics), self._place(outcome.versions, self._versions))

    def outcome(self, row: int) -> Outcome:
        """Return a row's outcome, without the place of its record, by which nothing is decided."""
        partition, offset, timestamp_ms, published_ms, revision = self._numbers[row].tolist()
        topic, versions = self._who[row].tolist()
        return Outcome(
            self._topics[topic],
            partition,
            offset,
            timestamp_ms,
            ("", 0, 0),
            published_ms,
            versions=self._versions[versions],
            revision=revision,
        )

    def keep(self, rows: NDArray[np.intp]) -> None:
        """Keep some rows alone; see `VerdictColumns.keep`."""
        self._numbers[: len(rows)] = self._numbers[rows]
        self._who[: len(rows)] = self._who[rows]

    def _place(self, value: _Value, values: list[_Value]) -> int:
        place = self._places.setdefault(value, len(values))
        if place == len(values):
            values.append(value)
        return place
