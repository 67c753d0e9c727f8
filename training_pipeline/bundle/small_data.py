"""What the chats of a run are too few for: each check returns why, as a sentence, or None where they carry it.

A bundle is then made without that part, and says so, rather than with one that a handful of chats decided.
"""

from typing import Final

import numpy as np

from training_pipeline.cascade.first_stage_fit import FirstStageOptions
from training_pipeline.chats.held_out import HeldOut
from training_pipeline.chats.labelled_chats import LabelledChats

_FEWEST_TRAINING: Final = 50
_FEWEST_FITTING: Final = 10
"""Held-out chats that fit what scales the transformer's logits, or its exits'."""
_FEWEST_OF_SIDE: Final = 5
"""Banned chats, and safe ones, that fit what a piece counts."""


def too_few_for_first_stage(training: LabelledChats, options: FirstStageOptions) -> str | None:
    """Say why the training chats carry no first stage.

    Args:
        training: The run's training chats.
        options: Its folds need two categories each.
    """
    n_often = int((np.bincount(training.labels) > options.n_folds).sum())
    if len(training) < _FEWEST_TRAINING or n_often < 2:  # noqa: PLR2004  no fold may be without one to tell apart
        return (
            f"No first stage: it needs {_FEWEST_TRAINING} training chats, and two categories of more than "
            f"{options.n_folds}; there are {len(training)} chats and {n_often} such categories."
        )
    return None


def too_few_to_scale(what: str, held_out: HeldOut, seed: int) -> str | None:
    """Say why the held-out chats do not carry a part beside the transformer.

    Args:
        what: The part, for the sentence.
        held_out: The chats, with what that part answers.
        seed: Of the run.
    """
    n_fitting = len(held_out.fitting(seed)[1])
    if n_fitting >= _FEWEST_FITTING:
        return None
    return (
        f"No {what}: fitting needs {_FEWEST_FITTING} held-out chats that the transformer answers, there are "
        f"{n_fitting}; train on more chats, or with a larger calibration_ratio."
    )


def too_few_for_pieces(held_out: HeldOut, seed: int) -> str | None:
    """Say why the held-out chats do not say what pieces of a chat count.

    Args:
        held_out: The chats, without a first stage.
        seed: Of the run.
    """
    if not held_out.groups.are_two:
        return "No pieces: the policy bans nothing, so that no part of a chat can be worse than the whole."
    is_banned = held_out.groups.banned[held_out.part_that_fits(seed)]
    n_banned, n_safe = int(is_banned.sum()), int((~is_banned).sum())
    if min(n_banned, n_safe) >= _FEWEST_OF_SIDE:
        return None
    return (
        f"No pieces: their weights need {_FEWEST_OF_SIDE} banned and {_FEWEST_OF_SIDE} safe held-out chats, there are "
        f"{n_banned} and {n_safe}; train on more chats, or with a larger calibration_ratio."
    )
