"""A tiny BERT made on the spot, and a run and a bundle trained from it in seconds."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

from training_pipeline.encoder.files import default_encoder_path
from training_pipeline.train.config import TrainConfig
from training_pipeline.train.train import run_training

SAMPLE_PATH = Path(__file__).parents[2] / "data" / "sample" / "chats.jsonl"


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Let torch use one thread: tiny models gain nothing from more, and on a busy machine threads wait for others."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a transformers folder with a random two-layer BERT and the real tokenizer."""
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=30522,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        initializer_range=0.3,
    )
    folder = tmp_path_factory.mktemp("encoder")
    BertModel(config).save_pretrained(folder)
    shutil.copy(default_encoder_path() / "tokenizer.json", folder)
    return folder


@pytest.fixture(scope="session")
def tiny_distilbert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a transformers folder with a random two-layer DistilBERT and the real tokenizer."""
    torch.manual_seed(1)
    config = DistilBertConfig(vocab_size=30522, dim=32, n_layers=2, n_heads=4, hidden_dim=64, initializer_range=0.3)
    folder = tmp_path_factory.mktemp("distilbert")
    DistilBertModel(config).save_pretrained(folder)
    shutil.copy(default_encoder_path() / "tokenizer.json", folder)
    return folder


@pytest.fixture(scope="session")
def labelled_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a training file of 200 and a dev file of 40 sample chats."""
    lines = SAMPLE_PATH.read_bytes().splitlines(keepends=True)
    folder = tmp_path_factory.mktemp("chats")
    training, dev = folder / "training.jsonl", folder / "dev.jsonl"
    training.write_bytes(b"".join(lines[:200]))
    dev.write_bytes(b"".join(lines[200:240]))
    return training, dev


@pytest.fixture(scope="session")
def tiny_run(tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a one-epoch run; half of its chats are held out, so that calibration has some."""
    training, dev = labelled_files
    run = tmp_path_factory.mktemp("run")
    config = TrainConfig(n_epochs=1, calibration_ratio=0.5)
    run_training([training], dev, run, config, encoder=tiny_encoder)
    return run


@pytest.fixture
def write_chats(tmp_path: Path) -> Callable[[list[dict[str, Any]]], Path]:
    """Return a function that writes rows as JSON lines and returns the file."""

    def write(rows: list[dict[str, Any]]) -> Path:
        path = tmp_path / "chats.jsonl"
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        return path

    return write
