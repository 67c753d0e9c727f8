"""A shortened encoder is the first layers of the long one, and nothing else."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModel, DistilBertConfig, DistilBertModel

from training_pipeline.encoder.files import read_encoder_shape
from training_pipeline.encoder.layers import keep_layers

_IDS = torch.tensor([[101, 2023, 2003, 102]])


def _hidden_states(folder: Path) -> tuple[torch.Tensor, ...]:
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    with torch.inference_mode():
        states: tuple[torch.Tensor, ...] = model(_IDS, output_hidden_states=True).hidden_states
    return states


def test_the_last_layer_of_the_short_encoder_is_that_layer_of_the_long_one(tiny_encoder: Path, tmp_path: Path) -> None:
    """The weights are kept as they are, under the same names."""
    short = keep_layers(tiny_encoder, 1, tmp_path / "short")
    assert read_encoder_shape(short).n_layers == 1
    torch.testing.assert_close(_hidden_states(short)[1], _hidden_states(tiny_encoder)[1])
    assert (short / "tokenizer.json").read_bytes() == (tiny_encoder / "tokenizer.json").read_bytes()


def test_distilbert_is_shortened_too(tmp_path: Path) -> None:
    """It counts its layers under another name."""
    torch.manual_seed(1)
    config = DistilBertConfig(vocab_size=3000, dim=32, n_layers=3, n_heads=4, hidden_dim=64)
    DistilBertModel(config).save_pretrained(tmp_path / "long")
    short = keep_layers(tmp_path / "long", 2, tmp_path / "short")
    assert read_encoder_shape(short).n_layers == 2
    torch.testing.assert_close(_hidden_states(short)[2], _hidden_states(tmp_path / "long")[2])


def test_more_layers_than_there_are_cannot_be_kept(tiny_encoder: Path, tmp_path: Path) -> None:
    """The network would start its last layers at random, in silence."""
    with pytest.raises(ValueError, match=r"has 2 layers; expected at least the 3"):
        keep_layers(tiny_encoder, 3, tmp_path / "short")
