"""The training loss and the disguise of training chats."""

from pathlib import Path

import numpy as np
import orjson
import pytest
import torch
from scipy.special import log_softmax, logsumexp

from model.tokenization import ConversationTokenizer
from schemas import CODES, DEFAULT_BANNED
from training_pipeline.disguised_rows import with_disguised
from training_pipeline.encoder.files import default_encoder_path
from training_pipeline.labelled_chats import read_labelled_chats
from training_pipeline.loss import banned_group_loss, classification_loss
from training_pipeline.train_config import TrainConfig

pytestmark = pytest.mark.training


def test_the_group_loss_is_the_cross_entropy_of_banned_against_safe() -> None:
    """Checked against scipy, with soft labels that straddle the groups."""
    rng = np.random.default_rng(5)
    logits = rng.normal(size=(7, 13)).astype(np.float32)
    target = rng.dirichlet(np.ones(13), size=7).astype(np.float32)
    banned = np.array([code in DEFAULT_BANNED for code in CODES])
    scores = log_softmax(logits, axis=1)
    weight = target[:, banned].sum(axis=1)
    expected = -(
        weight * logsumexp(scores[:, banned], axis=1) + (1 - weight) * logsumexp(scores[:, ~banned], axis=1)
    ).mean()
    assert banned_group_loss(torch.from_numpy(logits), torch.from_numpy(target)).item() == pytest.approx(expected)


def test_a_confusion_inside_a_group_costs_the_group_loss_nothing() -> None:
    """A chat of D taken for M is banned all the same."""
    target = torch.eye(13)[[CODES.index("D")]]
    as_d, as_m = (torch.eye(13)[[CODES.index(code)]] * 9 for code in "DM")
    assert banned_group_loss(as_d, target).item() == pytest.approx(banned_group_loss(as_m, target).item(), rel=1e-3)
    config = TrainConfig(banned_group_weight=0.5)
    assert classification_loss(as_d, target, config) < classification_loss(as_m, target, config)


def test_the_same_epoch_disguises_the_same_share_of_chats_and_another_epoch_others(tmp_path: Path) -> None:
    """A resumed run must see what an uninterrupted one would have seen."""
    path = tmp_path / "chats.jsonl"
    lines = [
        {"chat_id": f"c{i}", "category": "E", "messages": [{"role": "user", "content": f"please explain number {i}"}]}
        for i in range(300)
    ]
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    config = TrainConfig(evasion_ratio=0.3)
    chats = read_labelled_chats([path], config.windowing, frozenset())
    tokenizer = ConversationTokenizer(
        (default_encoder_path() / "tokenizer.json").read_text(encoding="utf-8"), max_tokens=config.windowing.max_tokens
    )
    plain = chats.encode(tokenizer)

    def changed(epoch: int, ratio: float = 0.3) -> list[int]:
        rows = with_disguised(chats, plain, tokenizer, TrainConfig(evasion_ratio=ratio), epoch=epoch)
        return [i for i, (a, b) in enumerate(zip(rows, plain, strict=True)) if not np.array_equal(a, b)]

    assert changed(1) == changed(1)
    assert changed(1) != changed(2)
    assert 0 < len(changed(1)) <= 300 * 0.4
    assert changed(1, ratio=0.0) == []
