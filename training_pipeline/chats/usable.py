"""Which labelled chats can be trained on: what is odd is left out, and counted with its reason.

Invariant: `train` and all that read a run's chats again leave out the same ones, so that they split the rest alike.
"""

from collections import Counter, defaultdict
from dataclasses import replace
from enum import StrEnum

import numpy as np

from schemas import turns_fingerprint
from training_pipeline.chats.labelled_chats import LabelledChats

_FEWEST_OF_CATEGORY = 2
"""One to learn from and one to hold out."""


class Odd(StrEnum):
    """Why a chat is not trained on."""

    TWO_LABELS = "two_labels"
    """The same text stands under another category too."""
    CATEGORY_OF_ONE = "category_of_one"
    """Its category has no other chat."""


def usable_chats(chats: LabelledChats) -> LabelledChats:
    """Return the chats that can be trained on; their `rejected` counts the others too.

    Chats that say themselves where they belong (`fold`) were chosen before, and all of them stay.

    Raises:
        ValueError: fewer than two categories are left.
    """
    if any(chats.folds):
        return chats
    labels_of: defaultdict[str, set[int]] = defaultdict(set)
    prints = [turns_fingerprint(turns) for turns in chats.conversations]
    for fingerprint, label in zip(prints, chats.labels.tolist(), strict=True):
        labels_of[fingerprint].add(label)
    is_clear = np.array([len(labels_of[fingerprint]) == 1 for fingerprint in prints], dtype=np.bool_)
    counts = np.bincount(chats.labels[is_clear], minlength=len(chats.taxonomy.codes))
    is_kept = is_clear & (counts[chats.labels] >= _FEWEST_OF_CATEGORY)
    found = {Odd.TWO_LABELS: int((~is_clear).sum()), Odd.CATEGORY_OF_ONE: int((is_clear & ~is_kept).sum())}
    rejected = Counter(chats.rejected) + Counter({reason.value: n for reason, n in found.items()})
    n_categories = len(np.unique(chats.labels[is_kept]))
    if n_categories < 2:  # noqa: PLR2004  there is nothing to tell apart
        raise ValueError(
            f"{int(is_kept.sum())} chats of {n_categories} categories are left (rejected: {dict(rejected)}); expected "
            "two categories with two chats or more; label more chats"
        )
    return chats if is_kept.all() else replace(chats.take(np.flatnonzero(is_kept)), rejected=dict(rejected))
