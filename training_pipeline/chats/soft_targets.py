"""What the network is asked to answer: soft labels, softened or sharpened, mixed with the category itself."""

import numpy as np
from numpy.typing import NDArray

from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.train.config import TrainConfig


def training_targets(chats: LabelledChats, config: TrainConfig) -> NDArray[np.float32]:
    """Return float32 [n_chats, n_categories]; each row sums to 1."""
    return mixed_targets(
        chats.soft_labels, chats.labels, temperature=config.label_temperature, hard_ratio=config.hard_label_ratio
    )


def mixed_targets(
    soft_labels: NDArray[np.float32], labels: NDArray[np.int64], *, temperature: float, hard_ratio: float
) -> NDArray[np.float32]:
    """Return `hard_ratio` of the category and the rest of the softened soft label.

    Args:
        soft_labels: float32 [n_chats, n_categories]; each row sums to 1.
        labels: int64 [n_chats], column index of the category.
        temperature: Divisor of the soft labels' logarithms, > 0; what has no weight keeps none.
        hard_ratio: 0..1.

    Source: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network" (2015).
    """
    softened = soft_labels if temperature == 1 else soften(soft_labels, temperature)
    if hard_ratio == 0:
        return softened
    one_hot = np.eye(soft_labels.shape[1], dtype=np.float32)[labels]
    return (hard_ratio * one_hot + (1 - hard_ratio) * softened).astype(np.float32)


def soften(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Return probabilities to the power 1 / temperature, float32 [n_chats, n_categories]; each row sums to 1."""
    powers = probabilities.astype(np.float64) ** (1 / temperature)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
