"""Buckets of lengths."""

import pytest

from model.figures.lengths import LENGTH_BOUNDS, length_counts, length_key


@pytest.mark.parametrize(
    ("n_characters", "key"),
    [(0, "0"), (24, "0"), (25, "25"), (99, "50"), (6_399, "3200"), (6_400, "6400"), (10**9, "6400")],
)
def test_a_bucket_begins_at_its_bound(n_characters: int, key: str) -> None:
    """And ends before the next one."""
    assert length_key(n_characters) == key


def test_empty_buckets_are_counted_too() -> None:
    """A mix is compared kind by kind."""
    found = length_counts([3, 30, 31])
    assert list(found) == [str(bound) for bound in LENGTH_BOUNDS]
    assert (found["0"], found["25"], sum(found.values())) == (1, 2, 3)
