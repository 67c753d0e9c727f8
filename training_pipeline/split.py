"""Split chats into a training and a calibration part: stratified by category, reproducible from the seed."""

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split


def calibration_split(
    labels: NDArray[np.int64], *, calibration_ratio: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (training, calibration) positions; every category keeps its share in both.

    Args:
        labels: int64 [n_chats], column index of the category.
        calibration_ratio: Share of chats held out, 0..1.
        seed: Same seed and labels give the same split.
    """
    training, calibration = train_test_split(
        np.arange(len(labels)), test_size=calibration_ratio, random_state=seed, stratify=labels
    )
    return np.sort(training), np.sort(calibration)
