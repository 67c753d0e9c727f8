"""Disguise a share of the training chats anew in each epoch: evasion is seen often and never learned by heart."""

import random
from collections.abc import Sequence

from model.tokenization import ConversationTokenizer, TokenIds
from model.windowing import render
from training_pipeline.evasion import KINDS, evade_turns
from training_pipeline.labelled_chats import LabelledChats
from training_pipeline.train_config import TrainConfig


def with_disguised(
    chats: LabelledChats,
    rows: Sequence[TokenIds],
    tokenizer: ConversationTokenizer,
    config: TrainConfig,
    *,
    epoch: int,
) -> list[TokenIds]:
    """Return the rows with `evasion_ratio` of them replaced by their disguised form; the same for the same epoch.

    Chats of every category are disguised, or a disguise would itself look banned.
    """
    result = list(rows)
    if config.evasion_ratio == 0:
        return result
    rng = random.Random(config.seed * 1_000 + epoch)  # noqa: S311  chooses chats, no secret
    chosen = [i for i in range(len(result)) if rng.random() < config.evasion_ratio]
    texts = [render(evade_turns(chats.conversations[i], rng.choice(KINDS), rng), config.windowing) for i in chosen]
    for i, row in zip(chosen, tokenizer.encode(texts), strict=True):
        result[i] = row
    return result
