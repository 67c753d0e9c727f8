"""Hashed n-grams of token ids: the features of the first stage, in serving and in training.

Source: Weinberger, Dasgupta, Langford, Smola, Attenberg, Feature Hashing for Large Scale Multitask Learning (2009).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.tokenization import TokenIds

_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_FINALISER: Final = np.uint64(0xD6E8FEB86659FD93)
_HIGH_BITS: Final = np.uint64(40)
"""The low bits of a product depend on the low bits of its factors alone; the high ones on all."""


@dataclass(frozen=True)
class NgramCounts:
    """How often each bucket occurs in each row: a sparse matrix in the order of rows, then buckets."""

    rows: NDArray[np.int64]
    """int64 [n_entries], ascending; every row occurs."""
    buckets: NDArray[np.int64]
    """int64 [n_entries], 0 <= bucket < n_buckets."""
    values: NDArray[np.float32]
    """float32 [n_entries], 1 + ln(count)."""


def ngram_counts(rows: Sequence[TokenIds], *, n_buckets: int, longest: int) -> NgramCounts:
    """Count the hashed n-grams of rows of token ids.

    Args:
        rows: At least one row; int64 [n_tokens] each, none empty.
        n_buckets: Number of buckets, at most 2**24.
        longest: Tokens in the longest n-gram; 2 counts single tokens and pairs.
    """
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    tokens = np.concatenate(rows).astype(np.uint64) + np.uint64(1)
    row_of = np.repeat(np.arange(len(rows)), lengths)
    n_left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(tokens))
    keys, hashed = [], np.zeros(len(tokens), dtype=np.uint64)
    followed = np.concatenate([tokens, np.zeros(longest, dtype=np.uint64)])
    for n in range(1, longest + 1):
        # Wraps round on purpose: arithmetic modulo 2**64.
        hashed = hashed * _MULTIPLIER + followed[n - 1 : n - 1 + len(tokens)]
        buckets = ((hashed * _FINALISER) >> _HIGH_BITS) % np.uint64(n_buckets)
        is_whole = n_left >= n
        keys.append(row_of[is_whole] * n_buckets + buckets[is_whole].astype(np.int64))
    found, counts = np.unique(np.concatenate(keys), return_counts=True)
    return NgramCounts(
        rows=found // n_buckets,
        buckets=found % n_buckets,
        values=(1 + np.log(counts)).astype(np.float32),
    )
