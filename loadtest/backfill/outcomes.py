"""Outcomes of one record wherever they were written, in a form that can be compared. Pure but for reading tables.

A probability moves by up to 6e-8 with the rows that share its batch, and is rounded to six decimals. So now and then
one differs in its last decimal between two runs of anything, and what is made of it does too.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from schemas import DeadLetter
from testkit.records import OutputRecord, Place

Outcome = dict[str, Any]

OF_THE_RUN: Final = frozenset({"decided_at", "override_revision", "actor", "previous", "cache_hit", "replay_id"})
"""Fields of a verdict that depend on more than the record: the clock, the cache, people, earlier decisions."""
_CLOSE: Final = {
    "probabilities": 1.5e-6,
    "evidence": 1.5e-6,
    # A sum of up to 255 of these; the risk is a step function of it, and a step is a chat of the calibration.
    "banned_probability": 2.6e-4,
    "banned_to_safe_risk": 1e-2,
}
"""What a last decimal may move."""
_OF_THE_ROW: Final = frozenset({"input_file", "input_row", "rejected", "error"})


class Compared(NamedTuple):
    """How two sets of outcomes agree."""

    n_missing: int
    """Records of the first that the second has no outcome of, and the other way round."""
    n_different: int
    n_last_decimal: int
    """Records that differ in nothing but the last decimal of a number; these count as equal."""
    by_field: dict[str, int]
    """Of those that differ, how many do in each field."""

    @property
    def are_equal(self) -> bool:
        """Whether nothing is missing and nothing differs."""
        return not (self.n_missing or self.n_different)


def of_record(record: OutputRecord, verdict_topic: str) -> tuple[Place, Outcome]:
    """Return the record that a verdict or a dead letter answers, and what it says."""
    if record.topic != verdict_topic:
        letter = DeadLetter.from_headers(record.headers.items())
        place = Place(letter.origin_topic, letter.origin_partition, letter.origin_offset)
        return place, {"rejected": letter.reason.value}
    verdict = orjson.loads(record.value or b"")
    event_id = verdict["event_id"]
    said = {name: value for name, value in verdict.items() if name not in OF_THE_RUN}
    return _place(verdict["source"]), said | {"event_id": None if event_id is None else str(event_id)}


def of_tables(folder: Path) -> Iterator[tuple[Place, Outcome]]:
    """Yield the record that each row of an output answers, and what it says."""
    from pyarrow import parquet  # noqa: PLC0415  of an extra that other measurements do not need

    for path in sorted(folder.glob("*.parquet")):
        for row in parquet.read_table(path).to_pylist(maps_as_pydicts="strict"):
            if row["rejected"] is not None:
                yield _place(row["source"]), {"rejected": row["rejected"]}
            else:
                yield (
                    _place(row["source"]),
                    {name: value for name, value in row.items() if name not in OF_THE_RUN | _OF_THE_ROW},
                )


def once_each(outcomes: Iterable[tuple[Place, Outcome]]) -> tuple[dict[Place, Outcome], int]:
    """Return outcomes by record, and how many records had another one before."""
    found: dict[Place, Outcome] = {}
    n_outcomes = 0
    for place, outcome in outcomes:
        found[place] = outcome
        n_outcomes += 1
    return found, n_outcomes - len(found)


def compared(first: Mapping[Place, Outcome], second: Mapping[Place, Outcome]) -> Compared:
    """Compare two sets of outcomes."""
    by_field: Counter[str] = Counter()
    n_different = n_last_decimal = 0
    for place in first.keys() & second.keys():
        one, other = first[place], second[place]
        if one == other:
            continue
        if fields := different_fields(one, other):
            n_different += 1
            by_field.update(fields)
        else:
            n_last_decimal += 1
    return Compared(len(first.keys() ^ second.keys()), n_different, n_last_decimal, dict(by_field))


def different_fields(one: Outcome, other: Outcome) -> list[str]:
    """Return the fields in which two outcomes differ by more than a last decimal."""
    names = one.keys() | other.keys()
    return sorted(name for name in names if not _agree(name, one.get(name), other.get(name)))


def _agree(name: str, one: Any, other: Any) -> bool:
    if one == other:
        return True
    if name not in _CLOSE or one is None or other is None:
        return False
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(abs(one[code] - other[code]) <= _CLOSE[name] for code in one)
    return bool(abs(one - other) <= _CLOSE[name])


def _place(source: Mapping[str, Any]) -> Place:
    return Place(source["topic"], source["partition"], source["offset"])
