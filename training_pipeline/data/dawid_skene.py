"""Consensus of annotators by Dawid and Skene: how likely each category is, given who errs how.

Expectation maximisation over one confusion matrix per annotator and the categories' shares, started from the vote
shares. It needs at least three annotators, or many chats, to tell a careless annotator from a hard chat; with two it
does little more than weigh their known habits.

Invariant: each row of the posterior sums to 1; with `smoothing` 0 the likelihood never falls from one step to the next.
Source: Dawid and Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm" (1979); the
start from vote shares and the order of the steps are crowd-kit's (`aggregation/classification/dawid_skene.py`),
which is not a dependency because it brings transformers.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

ABSTAINED: Final = -1
_TINY: Final = 1e-300
"""Keeps the logarithm of an error rate of zero finite."""


class Consensus(NamedTuple):
    """What the votes say about the chats and about the annotators."""

    posterior: NDArray[np.float64]
    """[n_chats, n_categories], each row sums to 1."""
    error_rates: NDArray[np.float64]
    """[n_annotators, n_categories true, n_categories voted], each row sums to 1."""
    log_likelihoods: list[float]
    """After each step."""


def dawid_skene(
    votes: NDArray[np.int64],
    n_categories: int,
    *,
    smoothing: float = 0.01,
    max_steps: int = 100,
    tolerance: float = 1e-6,
) -> Consensus:
    """Estimate the consensus.

    Args:
        votes: int64 [n_chats, n_annotators], category index, or -1 where the annotator abstained.
        n_categories: Number of categories.
        smoothing: Pseudo-votes in each cell of an annotator's confusion matrix, so that a confusion that was never
            seen stays possible.
        max_steps: Most EM steps.
        tolerance: Stop when the log-likelihood per chat rises by less.

    Raises:
        ValueError: a chat has no vote.
    """
    voted = votes != ABSTAINED
    if not voted.any(axis=1).all():
        raise ValueError(f"{int((~voted.any(axis=1)).sum())} chats have no vote; expected at least one each")
    # [n_chats, n_annotators, n_categories], one where the annotator named that category
    named = (votes[:, :, None] == np.arange(n_categories)).astype(np.float64)
    posterior = named.sum(axis=1) / voted.sum(axis=1, keepdims=True)
    likelihoods: list[float] = []
    error_rates = np.empty((votes.shape[1], n_categories, n_categories))
    for _ in range(max_steps):
        shares = posterior.mean(axis=0)
        error_rates = _error_rates(posterior, named, smoothing)
        log_joint = np.log(np.maximum(shares, _TINY)) + np.einsum(
            "cav,atv->ct", named, np.log(np.maximum(error_rates, _TINY))
        )
        top = log_joint.max(axis=1, keepdims=True)
        joint = np.exp(log_joint - top)
        posterior = joint / joint.sum(axis=1, keepdims=True)
        likelihoods.append(float((np.log(joint.sum(axis=1)) + top[:, 0]).sum()))
        if len(likelihoods) > 1 and likelihoods[-1] - likelihoods[-2] < tolerance * len(votes):
            break
    return Consensus(posterior, error_rates, likelihoods)


def _error_rates(posterior: NDArray[np.float64], named: NDArray[np.float64], smoothing: float) -> NDArray[np.float64]:
    """Return how each annotator votes on each true category; a category that nobody met is voted on at random."""
    counts = np.einsum("ct,cav->atv", posterior, named) + smoothing
    totals = counts.sum(axis=2, keepdims=True)
    return np.divide(counts, totals, out=np.full_like(counts, 1 / counts.shape[2]), where=totals > 0)
