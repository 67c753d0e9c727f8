"""The training loss."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, logsumexp

from schemas import CHAT_13
from tests.training_pipeline.chat_13 import BANNED_COLUMNS
from training_pipeline.train.config import TrainConfig
from training_pipeline.train.loss import banned_group_loss, classification_loss

BANNED = torch.from_numpy(BANNED_COLUMNS)


def test_the_group_loss_is_the_cross_entropy_of_banned_against_safe() -> None:
    """Checked against scipy, with soft labels that straddle the groups."""
    rng = np.random.default_rng(5)
    logits = rng.normal(size=(7, 13)).astype(np.float32)
    target = rng.dirichlet(np.ones(13), size=7).astype(np.float32)
    banned = np.array([code in CHAT_13.banned for code in CHAT_13.codes])
    scores = log_softmax(logits, axis=1)
    weight = target[:, banned].sum(axis=1)
    expected = -(
        weight * logsumexp(scores[:, banned], axis=1) + (1 - weight) * logsumexp(scores[:, ~banned], axis=1)
    ).mean()
    assert banned_group_loss(torch.from_numpy(logits), torch.from_numpy(target), BANNED).item() == pytest.approx(
        expected
    )


def test_a_confusion_inside_a_group_costs_the_group_loss_nothing() -> None:
    """A chat of D taken for M is banned all the same."""
    target = torch.eye(13)[[CHAT_13.codes.index("D")]]
    as_d, as_m = (torch.eye(13)[[CHAT_13.codes.index(code)]] * 9 for code in "DM")
    assert banned_group_loss(as_d, target, BANNED).item() == pytest.approx(
        banned_group_loss(as_m, target, BANNED).item(), rel=1e-3
    )
    config = TrainConfig(banned_group_weight=0.5)
    assert classification_loss(as_d, target, config) < classification_loss(as_m, target, config)
