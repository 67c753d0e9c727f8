"""Group tokenised rows into batches under a padded-token budget.

A padded batch costs `rows x longest row` tokens, however short the other rows are, so rows are sorted by length first
and a batch is closed before its padded cost passes the budget.

Where few rows are there, batches are made smaller than the budget, so that each of the parallel sessions gets some.

Invariant: every input index appears in exactly one batch.
Source: the cost rule of text-embeddings-inference, `core/src/queue.rs`.
"""

from collections.abc import Sequence
from typing import Final

_BATCHES_PER_SESSION: Final = 4
"""Enough for sessions to end at about the same time; past a few hundred tokens an inference gains nothing from size."""

_LEAST_TOKENS: Final = 64
"""Below this the fixed cost of an inference shows."""


def token_budget(lengths: Sequence[int], *, n_sessions: int, max_padded_tokens: int) -> int:
    """Return the token budget of one inference for these rows, at most `max_padded_tokens`.

    Args:
        lengths: Tokens per row.
        n_sessions: Inferences that run side by side.
        max_padded_tokens: Largest budget.
    """
    share = sum(lengths) // (_BATCHES_PER_SESSION * n_sessions)
    return min(max_padded_tokens, max(_LEAST_TOKENS, share))


def plan_batches(lengths: Sequence[int], *, max_padded_tokens: int, max_rows: int) -> list[list[int]]:
    """Plan batches over rows of the given lengths.

    Args:
        lengths: Tokens per row, each >= 0.
        max_padded_tokens: Largest `rows x longest row` of a batch; a single longer row is a batch of its own.
        max_rows: Largest number of rows in a batch.

    Returns:
        Batches of positions in `lengths`, shortest rows first; ties keep their order.

    Raises:
        ValueError: a limit is not positive.
    """
    if max_padded_tokens < 1 or max_rows < 1:
        raise ValueError(
            f"max_padded_tokens={max_padded_tokens} and max_rows={max_rows}: expected both to be at least 1"
        )
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        # Sorted ascending, so the row that joins is the longest of its batch.
        joined_cost = (len(batches[-1]) + 1) * lengths[index] if batches else 0
        if not batches or joined_cost > max_padded_tokens or len(batches[-1]) == max_rows:
            batches.append([index])
        else:
            batches[-1].append(index)
    return batches


def padded_tokens(lengths: Sequence[int], batches: Sequence[Sequence[int]]) -> int:
    """Return what the batches cost, tokens with padding."""
    return sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)
