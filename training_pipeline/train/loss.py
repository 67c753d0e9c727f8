"""The training loss: the categories, and beside them what costs money, banned classified as safe and safe as banned.

Every term is a mean over chats of a value that depends on that chat alone, so a batch may be computed in parts.
"""

import torch
from torch import Tensor
from torch.nn import functional

from training_pipeline.train.config import TrainConfig


def classification_loss(
    logits: Tensor, target: Tensor, config: TrainConfig, *, class_weights: Tensor | None = None
) -> Tensor:
    """Return the mean loss of a batch, a scalar.

    Args:
        logits: float32 [rows, n_categories].
        target: float32 [rows, n_categories], soft labels; each row sums to 1.
        config: Label smoothing, the weight of the banned group and the costs of confusions.
        class_weights: float32 [n_categories], of the cross-entropy; None weighs all alike.
    """
    loss = functional.cross_entropy(logits, target, weight=class_weights, label_smoothing=config.label_smoothing)
    if config.banned_group_weight > 0:
        loss = loss + config.banned_group_weight * banned_group_loss(logits, target, _banned(config, logits.device))
    if config.banned_to_safe_cost > 0 or config.safe_to_banned_cost > 0:
        loss = loss + expected_cost(logits, target, cost_matrix(config))
    return loss


def banned_group_loss(logits: Tensor, target: Tensor, banned: Tensor) -> Tensor:
    """Return the cross-entropy of banned against safe, summed over the categories of each group.

    A confusion inside a group costs nothing here, so the weight buys the safety pair and not a category.

    Args:
        logits: float32 [rows, n_categories].
        target: float32 [rows, n_categories], soft labels.
        banned: bool [n_categories], some of them banned and some not.
    """
    scores = logits.log_softmax(dim=1)
    log_banned = scores[:, banned].logsumexp(dim=1)
    log_safe = scores[:, ~banned].logsumexp(dim=1)
    banned_weight = target[:, banned].sum(dim=1)
    return -(banned_weight * log_banned + (1 - banned_weight) * log_safe).mean()


def cost_matrix(config: TrainConfig) -> Tensor:
    """Return float32 [n_categories, n_categories], the cost of naming the column's category for a chat of the row's.

    The diagonal is 0, and so is a confusion inside a group. That is sound only because the cost is *added* to the
    cross-entropy: a loss that is multiplied by such a matrix forgets every chat that the model already names rightly.
    """
    banned = _banned(config, torch.device("cpu")).float()
    return config.banned_to_safe_cost * torch.outer(banned, 1 - banned) + config.safe_to_banned_cost * torch.outer(
        1 - banned, banned
    )


def expected_cost(logits: Tensor, target: Tensor, costs: Tensor) -> Tensor:
    """Return the mean cost of naming a category drawn from the model's probabilities, a scalar of at least 0.

    Args:
        logits: float32 [rows, n_categories].
        target: float32 [rows, n_categories], soft labels.
        costs: float32 [n_categories, n_categories], true category by named category.
    """
    return (target @ costs.to(logits.device) * logits.softmax(dim=1)).sum(dim=1).mean()


def balanced_class_weights(target: Tensor) -> Tensor:
    """Return float32 [n_categories], the inverse of each category's share of the chats; 1 for a category without chats.

    Args:
        target: float32 [n_chats, n_categories], soft labels; their mean weight under the result is 1.
    """
    counts = target.sum(dim=0)
    present = counts > 0
    return torch.where(present, len(target) / (present.sum() * counts.clamp(min=torch.finfo(counts.dtype).tiny)), 1.0)


def class_weights_of(config: TrainConfig, target: Tensor) -> Tensor | None:
    """Return float32 [n_categories] as configured, with a mean of 1 over the chats, or None for equal weights.

    Raises:
        ValueError: the given weights leave no chat any weight.
    """
    if config.class_weights == "none":
        return None
    if config.class_weights == "balanced":
        return balanced_class_weights(target)
    weights = torch.tensor([config.class_weights.get(code, 1.0) for code in config.taxonomy.codes])
    mean = (target @ weights).mean()
    if not mean > 0:
        raise ValueError(
            f"class_weights are {config.class_weights}; expected some weight on the categories of the chats"
        )
    return weights / mean


def _banned(config: TrainConfig, device: torch.device) -> Tensor:
    return torch.from_numpy(config.banned_columns).to(device)
