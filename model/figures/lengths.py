"""Buckets of the users' longest messages, the same in bundles and in what consoles count."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from typing import Final

LENGTH_BOUNDS: Final = (0, 25, 50, 100, 200, 400, 800, 1_600, 3_200, 6_400)
"""Characters at which a bucket begins; its key is its bound."""


def length_key(n_characters: int) -> str:
    """Return the bucket of a message; `n_characters` is at least 0."""
    return str(LENGTH_BOUNDS[bisect_right(LENGTH_BOUNDS, n_characters) - 1])


def length_counts(lengths: Iterable[int]) -> dict[str, int]:
    """Return how many messages each bucket holds, empty ones too."""
    found = Counter(length_key(length) for length in lengths)
    return {str(bound): found[str(bound)] for bound in LENGTH_BOUNDS}
