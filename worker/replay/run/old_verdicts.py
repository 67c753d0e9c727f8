"""What the verdict topic said of the records of a replay before it began.

One byte per offset of the range, so that a hundred million records take 100 MB: 0 for no verdict, else category and
decision. Of several verdicts on one record the last in the topic counts: that is the one its readers hold.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from schemas import CATEGORY_NAMES, CODES, Category, CategoryLabel, Decision, Standing
from worker.kafka.partition_range import Partition, PartitionRange
from worker.record import Place

_DECISIONS: Final = tuple(Decision)
_N_CODES: Final = len(CODES) * len(_DECISIONS)


class OldVerdicts:
    """Category and decision by the record that was judged.

    Args:
        ranges: The records that may be asked for.
        replay_id: The replay that asks; its own verdicts are not old.
    """

    def __init__(self, ranges: Iterable[PartitionRange], replay_id: str) -> None:
        self._replay_id = replay_id
        self._starts = {one.place: one.start for one in ranges}
        self._said = {one.place: bytearray(one.n_offsets) for one in ranges}
        self.n_known = 0

    def add(self, raw: bytes | None) -> None:
        """Take one record of the verdict topic; what is no verdict on a record of the ranges is passed over."""
        try:
            verdict = orjson.loads(raw or b"")
            source = verdict["source"]
            place = (source["topic"], source["partition"], source["offset"])
            code = 1 + _code(verdict)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return
        at = self._at(place)
        if at is None or verdict.get("replay_id") == self._replay_id:
            return
        said = self._said[place[:2]]
        self.n_known += said[at] == 0
        said[at] = code

    def of(self, place: Place) -> Standing | None:
        """Return what was said of a record; None where nothing was."""
        at = self._at(place)
        code = 0 if at is None else self._said[place[:2]][at]
        if code == 0:
            return None
        category, decision = divmod(code - 1, len(_DECISIONS))
        name = CODES[category]
        return Standing(
            category=CategoryLabel(code=Category(name), name=CATEGORY_NAMES[name]), decision=_DECISIONS[decision]
        )

    def _at(self, place: Place) -> int | None:
        partition: Partition = place[:2]
        if partition not in self._said:
            return None
        at = place[2] - self._starts[partition]
        return at if 0 <= at < len(self._said[partition]) else None


def _code(verdict: Mapping[str, Any]) -> int:
    """Return category and decision as one number, 0.._N_CODES - 1.

    Raises:
        KeyError, ValueError: a category or decision that this version does not know.
    """
    decision = _DECISIONS.index(Decision(verdict["decision"]))
    return CODES.index(verdict["category"]["code"]) * len(_DECISIONS) + decision
