"""Split chats into a training and a calibration part: stratified by category, reproducible from the seed.

A row may say itself where it belongs (`fold`: "training" or "held_out"); then no seed decides. A student of other
models needs that: the chats that carry its guarantee must not have taught its teachers either.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.train.config import TrainConfig

TRAINING_FOLD: Final = "training"
HELD_OUT_FOLD: Final = "held_out"
_FEWEST_TO_SPREAD: Final = 2
"""Chats of a category, one for each part."""


def calibration_split(
    labels: NDArray[np.int64], *, calibration_ratio: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (training, calibration) positions; every category keeps its share in both, where it has chats enough.

    Args:
        labels: int64 [n_chats], column index of the category.
        calibration_ratio: Share of chats held out, 0..1.
        seed: Same seed and labels give the same split.
    """
    training, calibration = train_test_split(
        np.arange(len(labels)),
        test_size=calibration_ratio,
        random_state=seed,
        stratify=_strata(labels, calibration_ratio),
    )
    return np.sort(training), np.sort(calibration)


def _strata(labels: NDArray[np.int64], calibration_ratio: float) -> NDArray[np.int64] | None:
    """Return what is spread evenly over both parts: categories, those of one chat together; None for too few chats."""
    present, counts = np.unique(labels, return_counts=True)
    rare = np.isin(labels, present[counts < _FEWEST_TO_SPREAD])
    strata = np.where(rare, -1, labels)
    if 0 < rare.sum() < _FEWEST_TO_SPREAD:
        strata[rare] = present[counts.argmax()]
    n_strata, n_held_out = len(np.unique(strata)), math.ceil(calibration_ratio * len(labels))
    return strata if n_strata <= min(n_held_out, len(labels) - n_held_out) else None


def split_chats(chats: LabelledChats, config: TrainConfig) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (training, held-out) positions of a run's chats, as the run's configuration or the chats decide.

    Raises:
        ValueError: some rows say where they belong and others do not, or all say the same.
    """
    folds = np.array(chats.folds, dtype=np.str_)
    if not (folds != "").any():
        return calibration_split(chats.labels, calibration_ratio=config.calibration_ratio, seed=config.seed_of_split)
    found = {str(fold) for fold in folds}
    if found != {TRAINING_FOLD, HELD_OUT_FOLD}:
        raise ValueError(
            f"the chats' folds are {sorted(found)}; expected that every row says {TRAINING_FOLD!r} or "
            f"{HELD_OUT_FOLD!r} and both occur, or that none has the field"
        )
    return np.flatnonzero(folds == TRAINING_FOLD), np.flatnonzero(folds == HELD_OUT_FOLD)


@dataclass(frozen=True)
class Parts:
    """Positions of a run's chats by what they are for."""

    training: NDArray[np.int64]
    selection: NDArray[np.int64]
    """Their figures choose the epoch."""
    held_out: NDArray[np.int64]
    """They calibrate and carry the guarantee; the same as `selection` where the configuration sets none aside."""


def split_parts(chats: LabelledChats, config: TrainConfig) -> Parts:
    """Return the parts of a run's chats."""
    training, held_out = split_chats(chats, config)
    if config.selection_ratio == 0:
        return Parts(training, held_out, held_out)
    kept, chosen = calibration_split(chats.labels[training], calibration_ratio=config.selection_ratio, seed=config.seed)
    return Parts(training[kept], training[chosen], held_out)
