"""Figures of the chats that have something in common: language, length, number of messages.

A slice is small more often than not; its counts stand beside its rates, and no interval is claimed.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas import Role, Turn
from training_pipeline.data.language import LanguageTagger
from training_pipeline.quality.evaluate import Predictions
from training_pipeline.quality.metrics import Columns, called_banned_of
from training_pipeline.report.document import Count, Slice

Names = Sequence[str]
Conversations = Sequence[Sequence[Turn]]

_CHARACTERS: Final = (80, 300, 1_000)
"""Limits between the length slices: a line, a paragraph, a page, more; of all user messages together."""

_MESSAGES: Final = (1, 3, 6)
"""Limits of the message slices; a bundle's window holds six messages."""


def slice_names(conversations: Conversations) -> dict[str, Names]:
    """Return, by what they have in common, the name of each conversation's slice; slices in order of their names."""
    tagger = LanguageTagger()
    return {
        "language": [tagger.tag(turns).code for turns in conversations],
        "characters": [_band(_n_characters(turns), _CHARACTERS) for turns in conversations],
        "messages": [_band(len(turns), _MESSAGES) for turns in conversations],
    }


def slices(predictions: Predictions, names: Names, banned: Columns) -> list[Slice]:
    """Return the figures per slice, the bands in order, languages by size."""
    in_slice: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        in_slice.setdefault(name, []).append(position)
    rows = [_slice(name, predictions, np.array(positions), banned) for name, positions in in_slice.items()]
    bands = {name: i for limits in (_CHARACTERS, _MESSAGES) for i, name in enumerate(_all_bands(limits))}
    return sorted(rows, key=lambda row: (bands.get(row.name, 0), -row.n_chats, row.name))


def _slice(name: str, predictions: Predictions, positions: NDArray[np.int64], banned: Columns) -> Slice:
    labels, predicted = predictions.labels[positions], predictions.predicted[positions]
    truly_banned = banned[labels]
    called_banned = called_banned_of(labels, predicted, banned)
    return Slice(
        name=name,
        n_chats=len(positions),
        accuracy=round(float((labels == predicted).mean()), 4),
        banned_to_safe=Count(n=int((truly_banned & ~called_banned).sum()), of=int(truly_banned.sum())),
        safe_to_banned=Count(n=int((~truly_banned & called_banned).sum()), of=int((~truly_banned).sum())),
    )


def _n_characters(turns: Sequence[Turn]) -> int:
    return sum(len(turn.text) for turn in turns if turn.role is Role.USER)


def _all_bands(limits: Sequence[int]) -> list[str]:
    return [_band(value, limits) for value in (*limits, limits[-1] + 1)]


def _band(value: int, limits: Sequence[int]) -> str:
    low = 0
    for limit in limits:
        if value <= limit:
            return f"{low + 1} to {limit}" if low + 1 < limit else str(limit)
        low = limit
    return f"over {low}"
