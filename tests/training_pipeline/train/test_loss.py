import numpy as np
import pytest
import torch
from torch.nn import functional

from schemas import CHAT_13
from tests.training_pipeline.chat_13 import BANNED_COLUMNS
from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.chats.soft_targets import mixed_targets, training_targets
from training_pipeline.train.config import TrainConfig
from training_pipeline.train.loss import (
    balanced_class_weights,
    class_weights_of,
    classification_loss,
    cost_matrix,
    expected_cost,
)

BANNED = int(np.flatnonzero(BANNED_COLUMNS)[0])
SAFE = int(np.flatnonzero(~BANNED_COLUMNS)[0])
COSTLY = TrainConfig(banned_to_safe_cost=3.0, safe_to_banned_cost=0.5, label_smoothing=0.0)


def _one_hot(*columns: int) -> torch.Tensor:
    return functional.one_hot(torch.tensor(columns), len(CHAT_13.codes)).float()


def _random(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(rows, len(CHAT_13.codes), generator=generator)
    return logits, torch.randn(rows, len(CHAT_13.codes), generator=generator).softmax(dim=1)


def test_the_expected_cost_is_the_sum_over_true_and_named_categories() -> None:
    """Against the definition, written out as loops."""
    logits, target = _random(4)
    costs, probabilities = cost_matrix(COSTLY), logits.softmax(dim=1)
    by_hand = sum(
        float(target[row, true] * costs[true, named] * probabilities[row, named])
        for row in range(4)
        for true in range(13)
        for named in range(13)
    )
    assert float(expected_cost(logits, target, costs)) == pytest.approx(by_hand / 4, rel=1e-5)


def test_only_confusions_across_the_groups_cost_and_each_direction_its_own() -> None:
    """A confusion inside a group shows the same ads or none."""
    costs, banned = cost_matrix(COSTLY).numpy(), BANNED_COLUMNS
    assert (costs[np.ix_(banned, ~banned)] == 3.0).all()
    assert (costs[np.ix_(~banned, banned)] == 0.5).all()
    assert (costs[np.ix_(banned, banned)] == 0.0).all()
    assert (costs[np.ix_(~banned, ~banned)] == 0.0).all()


def test_a_chat_that_is_named_rightly_still_teaches() -> None:
    """A loss multiplied by a cost matrix with a zero diagonal gives such a chat no gradient; an added cost keeps it."""
    logits = torch.zeros(1, len(CHAT_13.codes))
    logits[0, BANNED] = 2.0
    target = _one_hot(BANNED)

    multiplied = logits.clone().requires_grad_()
    weight = cost_matrix(COSTLY)[BANNED, multiplied.argmax()]
    (weight * functional.cross_entropy(multiplied, target)).backward()
    assert multiplied.grad is not None
    assert not multiplied.grad.any()

    added = logits.clone().requires_grad_()
    classification_loss(added, target, COSTLY).backward()
    assert added.grad is not None
    assert float(added.grad[0, BANNED]) < -0.1


def test_a_costly_confusion_costs_more_than_the_same_mistake_inside_its_group() -> None:
    """The cost buys the safety pair."""
    other_banned = int(np.flatnonzero(BANNED_COLUMNS)[1])
    target = _one_hot(BANNED)
    crossed = classification_loss(5 * _one_hot(SAFE), target, COSTLY)
    inside = classification_loss(5 * _one_hot(other_banned), target, COSTLY)
    assert float(crossed) > float(inside) + 1


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(),
        TrainConfig(banned_group_weight=0.7),
        TrainConfig(banned_to_safe_cost=2.0, class_weights={"A": 3.0}),
    ],
)
def test_a_batch_computed_in_parts_has_the_loss_of_the_whole(config: TrainConfig) -> None:
    """Gradient accumulation and several processes rest on that."""
    logits, target = _random(10)
    weights = class_weights_of(config, target)
    whole = classification_loss(logits, target, config, class_weights=weights)
    parts = sum(
        classification_loss(logits[part], target[part], config, class_weights=weights) * len(part) / 10
        for part in (torch.arange(3), torch.arange(3, 10))
    )
    assert float(parts) == pytest.approx(float(whole), rel=1e-5)


def test_balanced_weights_give_every_present_category_the_same_say() -> None:
    """Three chats of one category weigh as much as one of another; an absent one divides by nothing."""
    target = _one_hot(0, 0, 0, 1)
    weights = balanced_class_weights(target)
    assert float(3 * weights[0]) == pytest.approx(float(weights[1]))
    assert float((target @ weights).mean()) == pytest.approx(1.0)
    assert torch.isfinite(weights).all()


def test_given_weights_keep_the_mean_weight_of_a_chat_at_one() -> None:
    """Otherwise the weights would be a second learning rate."""
    target = _one_hot(0, 0, 1, 2)
    weights = class_weights_of(TrainConfig(class_weights={"A": 4.0}), target)
    assert weights is not None
    assert float((target @ weights).mean()) == pytest.approx(1.0)
    assert float(weights[0] / weights[1]) == pytest.approx(4.0)


def test_weights_that_leave_no_chat_any_weight_are_refused() -> None:
    """The loss would be 0/0."""
    with pytest.raises(ValueError, match="some weight"):
        class_weights_of(TrainConfig(class_weights={"A": 0.0}), _one_hot(0, 0))


def test_targets_are_softened_and_mixed_with_the_category() -> None:
    """Against the definition: p^(1/T), made to sum to 1, then the mixture."""
    soft = np.zeros((1, len(CHAT_13.codes)), dtype=np.float32)
    soft[0, :2] = (0.8, 0.2)
    found = mixed_targets(soft, np.array([1]), temperature=2.0, hard_ratio=0.25)
    root = np.sqrt([0.8, 0.2]) / np.sqrt([0.8, 0.2]).sum()
    np.testing.assert_allclose(found[0, :2], [0.75 * root[0], 0.75 * root[1] + 0.25], rtol=1e-6)
    assert found[0, 2:].sum() == 0


def test_by_default_the_targets_are_the_soft_labels_as_they_stand() -> None:
    """Runs of earlier versions stay what they were, to the bit."""
    soft = np.random.default_rng(1).dirichlet(np.ones(len(CHAT_13.codes)), size=3).astype(np.float32)
    chats = LabelledChats(["a", "b", "c"], ["", "", ""], np.array([0, 1, 2]), soft, np.ones(3, dtype=np.bool_), {})
    assert training_targets(chats, TrainConfig()) is soft
