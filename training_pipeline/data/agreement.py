"""How far annotators agree: kappas, confusions and a table per category. Pure functions over a matrix of votes.

A vote is a category index, or -1 where the annotator abstained; an abstention is left out, never counted as a category.

Sources: Cohen (1960), by scikit-learn; Fleiss (1971), in the form for a varying number of votes per chat, which equals
the original where all chats have the same number.
"""

import math
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from schemas.taxonomy import CHAT_13, Taxonomy
from training_pipeline.data.dawid_skene import ABSTAINED

Votes = NDArray[np.int64]
"""int64 [n_chats, n_annotators]."""


def fleiss_kappa(votes: Votes, taxonomy: Taxonomy = CHAT_13) -> float | None:
    """Return Fleiss' kappa over the chats with at least two votes; None where there are none, or all votes are one."""
    counts = (votes[:, :, None] == np.arange(len(taxonomy.codes))).sum(axis=1)
    n_votes = counts.sum(axis=1)
    counts, n_votes = counts[n_votes > 1], n_votes[n_votes > 1]
    if not len(counts):
        return None
    observed = ((counts * (counts - 1)).sum(axis=1) / (n_votes * (n_votes - 1))).mean()
    shares = counts.sum(axis=0) / counts.sum()
    by_chance = float((shares**2).sum())
    return None if by_chance >= 1.0 else float((observed - by_chance) / (1.0 - by_chance))


def agreement_report(votes: Votes, annotators: list[str], taxonomy: Taxonomy = CHAT_13) -> dict[str, Any]:
    """Describe the agreement of all annotators, of each pair, and per category; JSON-ready."""
    return {
        "n_chats": len(votes),
        "fleiss_kappa": fleiss_kappa(votes, taxonomy),
        "annotators": {name: _annotator(votes[:, i], taxonomy) for i, name in enumerate(annotators)},
        "pairs": [
            _pair(votes[:, i], votes[:, j], annotators[i], annotators[j], taxonomy)
            for i, j in combinations(range(len(annotators)), 2)
        ],
        "categories": {code: _category(votes, c) for c, code in enumerate(taxonomy.codes)},
    }


def _annotator(column: Votes, taxonomy: Taxonomy) -> dict[str, Any]:
    counts = np.bincount(column[column != ABSTAINED], minlength=len(taxonomy.codes))
    return {
        "n_votes": int((column != ABSTAINED).sum()),
        "n_abstained": int((column == ABSTAINED).sum()),
        "n_votes_by_category": dict(zip(taxonomy.codes, counts.tolist(), strict=True)),
    }


def _pair(one: Votes, other: Votes, name: str, other_name: str, taxonomy: Taxonomy) -> dict[str, Any]:
    both = (one != ABSTAINED) & (other != ABSTAINED)
    one, other = one[both], other[both]
    n_common = len(one)
    report: dict[str, Any] = {"annotators": [name, other_name], "n_common": n_common}
    if not n_common:
        return report | {"agreement_ratio": None, "cohen_kappa": None, "banned_safe_disagreement_ratio": None}
    # With one category throughout, agreement by chance is certain and kappa has no value.
    one_category = len({*one.tolist(), *other.tolist()}) == 1
    kappa = math.nan if one_category else float(cohen_kappa_score(one, other))
    matrix = confusion_matrix(one, other, labels=np.arange(len(taxonomy.codes)))
    banned = np.array([code in taxonomy.banned for code in taxonomy.codes])
    return report | {
        "agreement_ratio": float((one == other).mean()),
        "cohen_kappa": None if math.isnan(kappa) else kappa,
        "banned_safe_disagreement_ratio": float((banned[one] != banned[other]).mean()),
        "confusion": matrix.tolist(),  # rows: the first annotator; columns: the second
    }


def _category(votes: Votes, category: int) -> dict[str, Any]:
    """Return how often a category was named, and the chance that another vote on such a chat names it too."""
    named = (votes == category).sum(axis=1)
    n_votes = (votes != ABSTAINED).sum(axis=1)
    several = n_votes > 1
    n_pairs = float((named[several]).sum())
    # Each vote for the category meets the chat's other votes; their share for the category is averaged over such votes.
    agreeing = float((named[several] * (named[several] - 1) / (n_votes[several] - 1)).sum())
    return {
        "n_chats_named": int((named > 0).sum()),
        "n_votes": int(named.sum()),
        "positive_agreement_ratio": agreeing / n_pairs if n_pairs else None,
    }


def top_confusions(report: dict[str, Any], n_most: int) -> list[tuple[str, str, int]]:
    """Return the most frequent confusions over all pairs: two codes and how many chats."""
    codes = list(report["categories"])
    totals = np.zeros((len(codes), len(codes)), dtype=np.int64)
    for pair in report["pairs"]:
        if "confusion" in pair:
            matrix = np.array(pair["confusion"])
            totals += np.triu(matrix + matrix.T, k=1)
    order = np.argsort(-totals, axis=None, kind="stable")[:n_most]
    cells = [(codes[i // len(codes)], codes[i % len(codes)], int(totals.flat[i])) for i in order]
    return [cell for cell in cells if cell[2]]
