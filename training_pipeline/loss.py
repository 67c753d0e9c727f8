"""The training loss: 13 categories, and beside them the one question that costs money, banned or safe."""

import torch
from torch import Tensor
from torch.nn import functional

from schemas import DEFAULT_BANNED
from training_pipeline.metrics import banned_columns
from training_pipeline.train_config import TrainConfig


def classification_loss(logits: Tensor, target: Tensor, config: TrainConfig) -> Tensor:
    """Return the mean loss of a batch, a scalar.

    Args:
        logits: float32 [rows, 13].
        target: float32 [rows, 13], soft labels; each row sums to 1.
        config: Label smoothing and the weight of the banned group.
    """
    loss = functional.cross_entropy(logits, target, label_smoothing=config.label_smoothing)
    if config.banned_group_weight > 0:
        loss = loss + config.banned_group_weight * banned_group_loss(logits, target)
    return loss


def banned_group_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of banned against safe, summed over the categories of each group.

    A confusion inside a group costs nothing here, so the weight buys the safety pair and not a category.
    """
    banned = torch.from_numpy(banned_columns(DEFAULT_BANNED))
    scores = logits.log_softmax(dim=1)
    log_banned = scores[:, banned].logsumexp(dim=1)
    log_safe = scores[:, ~banned].logsumexp(dim=1)
    banned_weight = target[:, banned].sum(dim=1)
    return -(banned_weight * log_banned + (1 - banned_weight) * log_safe).mean()
