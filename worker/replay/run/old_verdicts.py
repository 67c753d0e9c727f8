"""What the verdict topic said of the records of a replay before it began.

Two bytes per offset of the range, so that a hundred million records take 200 MB: 0 for no verdict, else category and
decision. Categories are numbered as they are met: the topic may hold verdicts of several taxonomies, and of versions of
one with other names. Of several verdicts on one record the last in the topic counts: that is the one its readers hold.

A replay decides without people and holds. So what they decided is compared by the rule's own decision beside it, or
each overruled chat would look like a change.
"""

from array import array
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import orjson
import structlog

from schemas import CategoryLabel, DecidedBy, Decision
from worker.kafka.partition_range import Partition, PartitionRange
from worker.moves.taxonomy_name import taxonomy_name
from worker.record import Place

log = structlog.get_logger()

_DECISIONS: Final = tuple(Decision)
MOST_CATEGORIES: Final = (2**16 - 1) // len(_DECISIONS)
"""Categories that two bytes can tell apart beside the decisions: 85 taxonomies of 256 categories."""


class OldVerdict(NamedTuple):
    """What was said of a record."""

    taxonomy: str
    """Its name."""
    category: CategoryLabel
    decision: Decision


class OldVerdicts:
    """Category and decision by the record that was judged.

    Args:
        ranges: The records that may be asked for.
        replay_id: The replay that asks; its own verdicts are not old.
    """

    def __init__(self, ranges: Iterable[PartitionRange], replay_id: str) -> None:
        self._replay_id = replay_id
        self._starts = {one.place: one.start for one in ranges}
        self._said = {one.place: array("H", bytes(2 * one.n_offsets)) for one in ranges}
        self._numbers: dict[tuple[str, str, str], int] = {}
        """By taxonomy, code and name of a category."""
        self._categories: list[tuple[str, CategoryLabel]] = []
        self._is_full = False
        self.n_known = 0

    def add(self, raw: bytes | None) -> None:
        """Take one record of the verdict topic; what is no verdict on a record of the ranges is passed over."""
        try:
            verdict = orjson.loads(raw or b"")
            source = verdict["source"]
            at = self._at((source["topic"], source["partition"], source["offset"]))
            if at is None or verdict.get("replay_id") == self._replay_id:
                return
            code = 1 + self._code(verdict)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return
        said = self._said[source["topic"], source["partition"]]
        self.n_known += said[at] == 0
        said[at] = code

    def of(self, place: Place) -> OldVerdict | None:
        """Return what was said of a record; None where nothing was."""
        at = self._at(place)
        code = 0 if at is None else self._said[place[:2]][at]
        if code == 0:
            return None
        number, decision = divmod(code - 1, len(_DECISIONS))
        return OldVerdict(*self._categories[number], _DECISIONS[decision])

    def _at(self, place: Place) -> int | None:
        partition: Partition = place[:2]
        if partition not in self._said:
            return None
        at = place[2] - self._starts[partition]
        return at if 0 <= at < len(self._said[partition]) else None

    def _code(self, verdict: Mapping[str, Any]) -> int:
        """Return category and decision as one number.

        Raises:
            KeyError, TypeError, ValueError: no category, a decision that this version does not know, or more categories
                than two bytes can tell apart.
        """
        decision = _DECISIONS.index(Decision(_said_by_the_rule(verdict)))
        label = verdict["category"]
        key = (taxonomy_name(verdict), label["code"], label["name"])
        if (number := self._numbers.get(key)) is None:
            number = self._number_of_new(key)
        return number * len(_DECISIONS) + decision

    def _number_of_new(self, key: tuple[str, str, str]) -> int:
        number = len(self._categories)
        if number == MOST_CATEGORIES:
            if not self._is_full:
                self._is_full = True
                log.warning("old_categories_full", n_categories=number, remedy="look at who writes the verdict topic")
            raise ValueError(f"more than {MOST_CATEGORIES} categories")
        taxonomy, code, name = key
        self._categories.append((taxonomy, CategoryLabel.model_validate({"code": code, "name": name})))
        self._numbers[key] = number
        return number


def _said_by_the_rule(verdict: Mapping[str, Any]) -> Any:
    """Return a verdict's decision; the rule's own where a person or a hold decided in its place."""
    decided_by = verdict.get("decided_by")
    # An allow list says `override`, too, without a revision; replays ask the lists.
    is_overruled = decided_by == DecidedBy.HOLD or (
        decided_by == DecidedBy.OVERRIDE and verdict.get("override_revision")
    )
    own = verdict.get("model_decision")
    return own if is_overruled and own is not None else verdict["decision"]
