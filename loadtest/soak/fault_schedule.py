"""Which fault strikes when, and for how long: the same from the same seed. Pure."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class FaultKind(StrEnum):
    """What goes wrong, by the part that it strikes."""

    WORKER_KILLED = "worker killed"
    WORKER_FROZEN = "worker frozen"
    WORKER_RESTARTED = "worker restarted"
    BROKER_KILLED = "broker killed"
    BROKER_FROZEN = "broker frozen"
    BROKER_SILENT = "line to a broker silent"
    BROKER_LINE_BAD = "line to a broker slow and lossy"
    BROKER_LINE_CUT = "line to a broker cut"
    REDIS_KILLED = "redis killed"
    REDIS_FROZEN = "redis frozen"
    REDIS_FULL = "redis full"
    REDIS_LINE_BAD = "line to redis slow"
    POLICY_CHANGED = "policy changed"


_PARTS: Final[dict[str, tuple[FaultKind, ...]]] = {
    "worker": (FaultKind.WORKER_KILLED, FaultKind.WORKER_FROZEN, FaultKind.WORKER_RESTARTED),
    "broker": (
        FaultKind.BROKER_KILLED,
        FaultKind.BROKER_FROZEN,
        FaultKind.BROKER_SILENT,
        FaultKind.BROKER_LINE_BAD,
        FaultKind.BROKER_LINE_CUT,
    ),
    "redis": (FaultKind.REDIS_KILLED, FaultKind.REDIS_FROZEN, FaultKind.REDIS_FULL, FaultKind.REDIS_LINE_BAD),
    "policy": (FaultKind.POLICY_CHANGED,),
}
"""One fault of a part at a time: two brokers of three that are away at once leave no cluster."""

_PART_OF: Final = {kind: part for part, kinds in _PARTS.items() for kind in kinds}
_MEAN_GAP_S: Final = 6.0
_HOLD_S: Final = (2.0, 15.0)
_REST_S: Final = 5.0
"""Between two faults of one part, so that each meets it well."""


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One fault.

    Attributes:
        at_s: When it begins, since the start of the run.
        hold_s: For how long.
        kind: Which.
        choice: A number that picks among several, such as brokers.
    """

    at_s: float
    hold_s: float
    kind: FaultKind
    choice: int

    @property
    def part(self) -> str:
        """What it strikes."""
        return _PART_OF[self.kind]


def planned_faults(seed: int) -> Iterator[PlannedFault]:
    """Yield faults without end, in the order of their beginning; those of different parts overlap."""
    chance = random.Random(seed)  # noqa: S311  a repeatable schedule, not a secret
    kinds = list(FaultKind)
    free_at = dict.fromkeys(_PARTS, 0.0)
    at_s = 0.0
    while True:
        at_s += chance.expovariate(1 / _MEAN_GAP_S)
        kind = chance.choice(kinds)
        hold_s, choice = chance.uniform(*_HOLD_S), chance.randrange(1 << 16)
        part = _PART_OF[kind]
        if at_s < free_at[part]:
            continue
        free_at[part] = at_s + hold_s + _REST_S
        yield PlannedFault(at_s, hold_s, kind, choice)
