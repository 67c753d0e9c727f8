"""Batches under a padded-token budget."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.batching import padded_tokens, plan_batches, token_budget

LENGTHS = st.lists(st.integers(min_value=0, max_value=600), max_size=200)
BUDGETS = st.integers(min_value=1, max_value=2_000)
ROWS = st.integers(min_value=1, max_value=70)


@given(lengths=LENGTHS, budget=BUDGETS, max_rows=ROWS)
def test_every_row_is_in_exactly_one_batch(lengths: list[int], budget: int, max_rows: int) -> None:
    """A row left out would be a record without an outcome; a row twice would be classified twice."""
    batches = plan_batches(lengths, max_padded_tokens=budget, max_rows=max_rows)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(batches)


@given(lengths=LENGTHS, budget=BUDGETS, max_rows=ROWS)
def test_no_batch_passes_its_limits_unless_it_is_a_single_row(lengths: list[int], budget: int, max_rows: int) -> None:
    """The budget bounds memory and time of one inference, whatever the texts."""
    for batch in plan_batches(lengths, max_padded_tokens=budget, max_rows=max_rows):
        assert len(batch) <= max_rows
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= budget


@given(lengths=LENGTHS, budget=BUDGETS, max_rows=ROWS)
def test_rows_come_shortest_first_and_ties_keep_their_order(lengths: list[int], budget: int, max_rows: int) -> None:
    """Neighbours of like length waste the least padding; a stable order gives the same batches on every run."""
    batches = plan_batches(lengths, max_padded_tokens=budget, max_rows=max_rows)
    flat = [(lengths[index], index) for batch in batches for index in batch]
    assert flat == sorted(flat)


@given(lengths=LENGTHS, budget=BUDGETS, max_rows=ROWS)
def test_a_batch_is_closed_only_where_the_next_row_does_not_fit(lengths: list[int], budget: int, max_rows: int) -> None:
    """Batches that are smaller than they could be cost throughput."""
    batches = plan_batches(lengths, max_padded_tokens=budget, max_rows=max_rows)
    for batch, following in pairwise(batches):
        assert len(batch) == max_rows or (len(batch) + 1) * lengths[following[0]] > budget


def test_the_padded_cost_counts_the_longest_row_for_every_row() -> None:
    """The metric of wasted work must be what the model really computes."""
    assert padded_tokens([3, 5, 9], [[0, 1], [2]]) == 2 * 5 + 9


@pytest.mark.parametrize(("budget", "max_rows"), [(0, 1), (1, 0), (-1, 5)])
def test_a_limit_that_is_not_positive_is_refused(budget: int, max_rows: int) -> None:
    """No batch could ever be formed under it."""
    with pytest.raises(ValueError, match="expected both to be at least 1"):
        plan_batches([1], max_padded_tokens=budget, max_rows=max_rows)


@given(lengths=LENGTHS, budget=BUDGETS, n_sessions=st.integers(min_value=1, max_value=16))
def test_the_budget_never_passes_the_largest(lengths: list[int], budget: int, n_sessions: int) -> None:
    """It bounds the memory of one inference."""
    assert 1 <= token_budget(lengths, n_sessions=n_sessions, max_padded_tokens=budget) <= budget


def test_a_few_rows_are_shared_out_among_the_sessions() -> None:
    """One inference on all threads would take longer than one row on each."""
    lengths = [95, 100, 105, 110]
    budget = token_budget(lengths, n_sessions=2, max_padded_tokens=256)
    assert len(plan_batches(lengths, max_padded_tokens=budget, max_rows=64)) == len(lengths)


def test_many_rows_fill_the_largest_budget() -> None:
    """Throughput does not suffer from what helps a few rows."""
    assert token_budget([100] * 200, n_sessions=2, max_padded_tokens=256) == 256
