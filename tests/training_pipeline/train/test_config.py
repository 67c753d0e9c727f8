from pathlib import Path

import numpy as np
import orjson
import pytest

from schemas import CHAT_13
from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.chats.split import calibration_split, split_chats, split_parts
from training_pipeline.options import parse_fields
from training_pipeline.train.config import TrainConfig, build_config, read_config

FIRST_VERSION = {
    "windowing": {
        "max_messages": 6,
        "last_user": {"head": 400, "tail": 200},
        "user": {"head": 160, "tail": 80},
        "other": {"head": 100, "tail": 60},
        "max_tokens": 192,
    },
    "n_epochs": 3,
    "batch_rows": 32,
    "encoder_lr": 0.00015,
    "head_lr": 0.001,
    "warmup_ratio": 0.06,
    "weight_decay": 0.01,
    "label_smoothing": 0.05,
    "dropout": 0.1,
    "encoder_dropout": 0.0,
    "evasion_ratio": 0.08,
    "banned_group_weight": 0.3,
    "calibration_ratio": 0.08,
    "bf16": True,
    "seed": 20261121,
}
"""config.json as the first version wrote it."""


def _chats(n: int, folds: list[str]) -> LabelledChats:
    labels = np.arange(n) % len(CHAT_13.codes)
    soft = np.eye(len(CHAT_13.codes), dtype=np.float32)[labels]
    ids = [str(i) for i in range(n)]
    return LabelledChats(
        ids, ids, labels, soft, np.ones(n, dtype=np.bool_), {},
        conversations=[[] for _ in ids], sources=ids, licence_classes=ids, folds=folds,
    )  # fmt: skip


def test_the_configuration_of_an_earlier_version_still_loads(tmp_path: Path) -> None:
    """A run takes hours; a new field must not make it worthless."""
    (tmp_path / "config.json").write_bytes(orjson.dumps(FIRST_VERSION))
    config = read_config(tmp_path)
    found = config.model_dump(mode="json", include=set(FIRST_VERSION))
    assert found["windowing"].pop("keeps_request") is False
    assert found["windowing"].pop("marks_roles") is True
    assert found == FIRST_VERSION
    assert (config.pooling, config.class_weights, config.early_stopping_patience) == ("mean", "none", 0)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.yaml", "n_epochs: 5\nhead_lr: 0.002\nwindowing:\n  max_tokens: 128\n"),
        ("run.toml", "n_epochs = 5\nhead_lr = 0.002\n[windowing]\nmax_tokens = 128\n"),
    ],
)
def test_flags_go_before_the_file_and_the_file_before_the_defaults(tmp_path: Path, name: str, content: str) -> None:
    """Both kinds of file say the same."""
    (tmp_path / name).write_text(content, encoding="utf-8")
    config = build_config(tmp_path / name, {"n_epochs": 2, "head_lr": None})
    assert (config.n_epochs, config.head_lr, config.batch_rows) == (2, 0.002, 32)
    assert config.windowing.max_tokens == 128


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("epochs: 5", "epochs"),
        ("- a list", "a list"),
        ("n_epochs: [", "cannot be read"),
        ("{bf16: true, fp16: true}", "at most one"),
        ("class_weights: {Z: 1.0}", "class_weights"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_with_its_fault(tmp_path: Path, content: str, said: str) -> None:
    """A typo must not pass as a default."""
    path = tmp_path / "run.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=said if said != "a list" else "holds a list"):
        build_config(path, {})


def test_any_field_can_be_set_by_name() -> None:
    """Frequent fields have flags, the others need no file."""
    fields = parse_fields(["windowing.max_tokens=64", "class_weights={D: 2.5}", "split_seed=7"])
    config = build_config(None, fields)
    assert (config.windowing.max_tokens, config.class_weights, config.split_seed) == (64, {"D": 2.5}, 7)
    with pytest.raises(ValueError, match="NAME=VALUE"):
        parse_fields(["n_epochs"])


def test_runs_that_share_a_split_seed_hold_the_same_chats_out() -> None:
    """An ensemble's students are calibrated on chats that none of its members has seen."""
    chats = _chats(130, [""] * 130)
    one, other = (split_chats(chats, TrainConfig(seed=seed, split_seed=3))[1] for seed in (1, 2))
    assert (one == other).all()
    expected = calibration_split(chats.labels, calibration_ratio=0.1, seed=1)[1]
    assert (split_chats(chats, TrainConfig(seed=1))[1] == expected).all()


def test_rows_may_decide_themselves_where_they_belong() -> None:
    """All of them or none: a file that says it for some rows is a mistake."""
    folds = ["training"] * 120 + ["held_out"] * 10
    training, held_out = split_chats(_chats(130, folds), TrainConfig())
    assert (len(training), held_out.tolist()) == (120, list(range(120, 130)))
    with pytest.raises(ValueError, match="every row says"):
        split_chats(_chats(130, [*folds[:-1], ""]), TrainConfig())


def test_chats_that_choose_the_epoch_can_be_kept_apart_from_those_that_calibrate() -> None:
    """Then the guarantee rests on chats that chose nothing."""
    parts = split_parts(_chats(260, [""] * 260), TrainConfig(selection_ratio=0.2))
    together = np.concatenate([parts.training, parts.selection, parts.held_out])
    assert sorted(together.tolist()) == list(range(260))
    shared = split_parts(_chats(260, [""] * 260), TrainConfig())
    assert (shared.selection == shared.held_out).all()
