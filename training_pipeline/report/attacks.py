"""Recall on banned chats whose user messages are disguised, one kind of disguise at a time.

Every chat is disguised by its own random state (seed, kind and chat id), so the same chats are attacked in the same way
whatever the model, and adding chats changes none of the others.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from model.windowing import Windowing, render
from schemas import Turn
from training_pipeline.augment.evasion import KINDS, evade_turns
from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.quality.evaluate import Predictions
from training_pipeline.quality.metrics import Columns, called_banned_of
from training_pipeline.report.document import Attack, Count

UNTOUCHED: Final = "none"

Predict = Callable[[LabelledChats], Predictions]


def disguised(chats: LabelledChats, kind: str, seed: int) -> list[list[Turn]]:
    """Return the conversations with their user messages disguised."""
    return [
        evade_turns(turns, kind, random.Random(f"{seed}:{kind}:{chat_id}"))  # noqa: S311  chooses letters, no secret
        for chat_id, turns in zip(chats.chat_ids, chats.conversations, strict=True)
    ]


def attacks(
    chats: LabelledChats, predict: Predict, banned: Columns, *, seed: int, kinds: Sequence[str] = KINDS
) -> list[Attack]:
    """Return how many banned chats are still called banned, untouched first and then by kind of disguise.

    Args:
        chats: Labelled chats; only the banned ones are used.
        predict: Classifies chats.
        banned: bool [n_categories], the banned columns.
        seed: Decides the disguises.
        kinds: Kinds of disguise.
    """
    targets = chats.take(np.flatnonzero(banned[chats.labels]))
    found = [_attack(UNTOUCHED, predict(targets), banned)]
    for kind in kinds:
        conversations = disguised(targets, kind, seed)
        texts = [render(turns, Windowing()) for turns in conversations]
        found.append(_attack(kind, predict(replace(targets, conversations=conversations, texts=texts)), banned))
    return found


def _attack(kind: str, predictions: Predictions, banned: Columns) -> Attack:
    n_chats = len(predictions)
    recalled = called_banned_of(predictions.labels, predictions.predicted, banned)
    return Attack(
        kind=kind,
        recalled=Count(n=int(recalled.sum()), of=n_chats),
        allowed=None
        if predictions.decisions is None
        else Count(n=int((predictions.decisions == "allow").sum()), of=n_chats),
    )
