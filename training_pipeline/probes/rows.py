"""Training rows out of the side `train` of the probes, and out of a run's own training chats.

A mixture keeps the label of its request: a chat is never judged safer than its worst part. A disguise and an identity
change no label either. Chats of every category are mixed and disguised, or long, disguised and personal texts would
themselves look banned.

Invariant: nothing is made of a held-out chat, and nothing that is made is held out: calibration sees real chats only.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from schemas import CODES, Role, Turn
from training_pipeline.labelled_chats import OWN, LabelledChats
from training_pipeline.metrics import banned_columns
from training_pipeline.probes.build import ADDITIONS, PLACES, POSITIONS, at_position, mixed
from training_pipeline.probes.disguise import KINDS, disguised
from training_pipeline.probes.filler import Filler
from training_pipeline.probes.identity import in_templates, with_sentence
from training_pipeline.probes.probe import ProbeSet
from training_pipeline.split import HELD_OUT_FOLD, TRAINING_FOLD, split_chats
from training_pipeline.train_config import TrainConfig

_LONGEST_REQUEST: Final = 2_000
"""A longer message is a long paste itself."""

_SHARE_IN_LONG: Final = 0.4
_LENGTHS: Final = (500, 20_000)
"""Characters of a message around a request, drawn evenly by order of magnitude."""


@dataclass(frozen=True)
class Amounts:
    """How many rows of each kind are made of the training chats."""

    mixtures: int = 4_000
    disguised: int = 2_000
    identities: int = 1_000
    """Pairs: the same safe chat with an identity and with neutral words."""


def training_rows(
    chats: LabelledChats,
    probes: ProbeSet,
    filler: Filler,
    banned: frozenset[str],
    *,
    config: TrainConfig,
    amounts: Amounts,
) -> Iterator[dict[str, Any]]:
    """Yield the chats with their folds, and after them what is made of the training ones.

    Args:
        chats: Labelled chats; split as `train` with this configuration would, where they do not say it themselves.
        probes: The side `train`.
        filler: Of the same side.
        banned: Codes of the banned categories; half of the mixtures and disguises are of banned chats.
        config: Its seeds and calibration ratio decide the split.
        amounts: How many.
    """
    training, held_out = split_chats(chats, config)
    folds = {int(i): TRAINING_FOLD for i in training} | {int(i): HELD_OUT_FOLD for i in held_out}
    for i in sorted(folds):
        yield _row(chats, i, chats.chat_ids[i], chats.conversations[i], fold=folds[i])
    rng = random.Random(config.seed)  # noqa: S311  chooses chats, no secret
    yield from _of_probes(probes)
    mask = banned_columns(banned)[chats.labels]
    sides = [[int(i) for i in training if mask[i] == side and _request(chats, int(i))] for side in (True, False)]
    for number in range(amounts.mixtures):
        i = rng.choice(sides[number % 2] or sides[0] or sides[1])
        text = _mixture(_request(chats, i), filler, rng)
        yield _row(chats, i, f"{chats.chat_ids[i]}-mixture-{number}", _with_request(chats.conversations[i], text))
    for number in range(amounts.disguised):
        i = rng.choice(sides[number % 2] or sides[0] or sides[1])
        text = disguised(_request(chats, i), rng.choice(KINDS), rng)
        yield _row(chats, i, f"{chats.chat_ids[i]}-disguised-{number}", _with_request(chats.conversations[i], text))
    by_side = [[words for words in probes.words if words.side == side] for side in ("identity", "neutral")]
    for number in range(amounts.identities if sides[1] else 0):
        i = rng.choice(sides[1])
        for words in map(rng.choice, by_side):
            turns = with_sentence(chats.conversations[i], words.words)
            yield _row(chats, i, f"{chats.chat_ids[i]}-{words.side}-{number}", turns)


def _of_probes(probes: ProbeSet) -> Iterator[dict[str, Any]]:
    for probe in probes.probes:
        yield _own_row(f"probe-{probe.probe_id}", probe.expected, probe.turns)
    expected = {template.template_id: template.expected for template in probes.templates}
    for person in in_templates(probes.templates, probes.words):
        yield _own_row(f"probe-{person.case_id}", expected[person.base_id], person.turns)


def _mixture(text: str, filler: Filler, rng: random.Random) -> str:
    if rng.random() >= _SHARE_IN_LONG:
        return mixed(text, rng.choice(ADDITIONS), rng.choice(PLACES), filler, rng)
    low, high = np.log(_LENGTHS)
    n_characters = int(np.exp(rng.uniform(float(low), float(high))))
    return at_position(text, rng.choice(POSITIONS), n_characters, filler, rng)


def _request(chats: LabelledChats, i: int) -> str:
    """Return the chat's last message where it is a user's of a usual length; else nothing."""
    last = chats.conversations[i][-1]
    return last.text if last.role is Role.USER and len(last.text) <= _LONGEST_REQUEST else ""


def _with_request(turns: Sequence[Turn], text: str) -> list[Turn]:
    return [*turns[:-1], Turn(Role.USER, text)]


def _row(
    chats: LabelledChats, i: int, chat_id: str, turns: Sequence[Turn], *, fold: str = TRAINING_FOLD
) -> dict[str, Any]:
    weights = {code: round(float(w), 6) for code, w in zip(CODES, chats.soft_labels[i], strict=True) if w > 0}
    return {
        "chat_id": chat_id,
        "category": CODES[chats.labels[i]],
        "soft_label": weights,
        "agreed": bool(chats.agreed[i]),
        "source": chats.sources[i],
        "license_class": chats.licence_classes[i],
        "fold": fold,
        "messages": _messages(turns),
    }


def _own_row(chat_id: str, category: str, turns: Sequence[Turn]) -> dict[str, Any]:
    row = {"chat_id": chat_id, "category": category, "source": OWN, "license_class": OWN, "fold": TRAINING_FOLD}
    return {**row, "messages": _messages(turns)}


def _messages(turns: Sequence[Turn]) -> list[dict[str, str]]:
    return [{"role": turn.role.value, "content": turn.text} for turn in turns]
