"""Replace a share of the training rows by changed copies of their chats: disguised, mixed, with an identity, cut off.

Invariant: the same chats, configuration and epoch give the same rows.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from model.tokenization import ConversationTokenizer, TokenIds
from model.windowing import render
from schemas import Turn
from training_pipeline.augment.evasion import KINDS, evade_any, evade_turns
from training_pipeline.augment.identities import with_identity
from training_pipeline.augment.mixtures import mixed, paste_of
from training_pipeline.augment.pieces import piece_chances, piece_row
from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.train.config import TrainConfig


def augmented_rows(
    chats: LabelledChats,
    rows: Sequence[TokenIds],
    tokenizer: ConversationTokenizer,
    config: TrainConfig,
    *,
    epoch: int,
) -> list[TokenIds]:
    """Return the rows of one epoch; what the configuration's ratios choose is changed.

    Chats of every category are changed at the same rate: otherwise the change itself would look banned, or safe.
    """
    result = list(rows)
    if config.evasion_ratio == config.mixture_ratio == config.identity_ratio == config.piece_ratio == 0:
        return result
    rng = random.Random(config.seed * 1_000 + epoch)  # noqa: S311  chooses chats, no secret
    pastes = [] if config.mixture_ratio == config.piece_ratio == 0 else _pastes(chats)
    chances = piece_chances(chats, config.piece_ratio)
    change = _Change(pastes, config, rng)
    texts: dict[int, str] = {}
    for i, turns in enumerate(chats.conversations):
        changed = change.row(turns, float(chances[i]))
        if changed is not None:
            texts[i] = changed
    for i, row in zip(texts, tokenizer.encode(list(texts.values())), strict=True):
        result[i] = row
    return result


def _pastes(chats: LabelledChats) -> list[str]:
    is_safe = ~chats.banned_columns[chats.labels]
    offered = (paste_of(turns) for turns, safe in zip(chats.conversations, is_safe, strict=True) if safe)
    return [paste for paste in offered if paste]


@dataclass(frozen=True)
class _Change:
    pastes: Sequence[str]
    config: TrainConfig
    rng: random.Random

    def row(self, turns: list[Turn], piece_chance: float) -> str | None:
        """Return the row's text as one of the changes leaves it; None where it stays as it is."""
        config, rng = self.config, self.rng
        chance = rng.random() - config.evasion_ratio
        if chance < 0:
            return self._rendered(self._disguised(turns))
        chance -= config.mixture_ratio
        if chance < 0:
            return self._rendered(mixed(turns, self.pastes, config.windowing, rng))
        chance -= config.identity_ratio
        if chance < 0:
            return self._rendered(with_identity(turns, rng))
        if chance < piece_chance:
            return piece_row(turns, self.pastes, config.windowing, rng)
        return None

    def _disguised(self, turns: list[Turn]) -> list[Turn] | None:
        if self.config.evasion_kinds == "all":
            return evade_any(turns, self.config.windowing, self.rng)
        return evade_turns(turns, self.rng.choice(KINDS), self.rng)

    def _rendered(self, turns: list[Turn] | None) -> str | None:
        return None if turns is None else render(turns, self.config.windowing)
