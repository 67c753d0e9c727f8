"""How far a mix has moved from the one that a bundle was calibrated on.

The population stability index of two mixes p and q over the same kinds is the sum of (q - p) ln(q / p). By a rule of
thumb up to .1 says nothing, from .1 to .2 look, above .2 act. Two samples of one and the same mix have an index, too:
about (kinds - 1) (1 / n + 1 / m) of n and m chats; what is not clearly above it is chance.

Source: Lewis, An Introduction to Credit Scoring (1994); the chance term: Yurdakul, Statistical Properties of Population
Stability Index (2018).
"""

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

LOOK: Final = 0.1
ALERT: Final = 0.2
LEAST_VERDICTS: Final = 500
"""Of fewer no index is told: thirteen kinds have one of .03 by chance at 500, and of .15 at 100."""
_ADDED: Final = 0.5
"""To each count, so that a kind that one side lacks has a logarithm."""


class Kind(NamedTuple):
    """One kind of a mix, on both sides."""

    key: str
    expected: float
    """Share of the reference, 0..1, as it was counted."""
    found: float
    part: float
    """What it adds to the index."""


class Drift(NamedTuple):
    """How far one mix is from another."""

    n_expected: int
    n_found: int
    psi: float | None
    """None of too few verdicts, or without a reference."""
    by_chance: float | None
    """The index that two samples of these sizes of one mix have on average."""
    kinds: list[Kind]

    @property
    def level(self) -> str:
        """`unknown`, `steady`, `look` or `alert`."""
        if self.psi is None:
            return "unknown"
        return "alert" if self.psi > ALERT else "look" if self.psi > LOOK else "steady"


def drift(expected: Mapping[str, int], found: Mapping[str, int], *, least: int = LEAST_VERDICTS) -> Drift:
    """Compare two mixes.

    Args:
        expected: Chats of the reference by kind, kinds without a chat among them.
        found: The same of what is watched; kinds that the reference does not name count, too.
        least: Fewer chats on the watched side have no index.
    """
    keys = [*expected, *(key for key in found if key not in expected)]
    n, m = sum(expected.values()), sum(found.values())
    is_known = n > 0 and m >= least
    kinds = [_kind(key, expected.get(key, 0), found.get(key, 0), (n, m), len(keys)) for key in keys]
    return Drift(
        n,
        m,
        sum(kind.part for kind in kinds) if is_known else None,
        (len(keys) - 1) * (1 / n + 1 / m) if is_known else None,
        kinds,
    )


def _kind(key: str, expected: int, found: int, totals: tuple[int, int], n_kinds: int) -> Kind:
    n, m = totals
    p, q = (expected + _ADDED) / (n + _ADDED * n_kinds), (found + _ADDED) / (m + _ADDED * n_kinds)
    return Kind(key, expected / n if n else 0.0, found / m if m else 0.0, (q - p) * math.log(q / p))
