"""The frozen encoder: its graph computes what torch computes, and its folder is made anew by a command."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import BertModel

from model import BundleError
from model.described.embedding import Embedder
from model.described.frozen_encoder import load_frozen_encoder, unit_rows
from model.inference.session import OnnxSession
from schemas.taxonomy import shipped_taxonomy
from training_pipeline.describe.freeze import freeze_encoder, pooling_named
from training_pipeline.describe.sets import DescribedSet
from training_pipeline.encoder.files import read_encoder_shape
from training_pipeline.encoder.source import EncoderSource, write_source
from training_pipeline.graph.onnx_graph import FloatProducts, build_encoder_graph


@pytest.fixture
def licensed(tiny_encoder: Path, tmp_path: Path) -> Path:
    """Return an encoder of which the licence is known."""
    folder = Path(shutil.copytree(tiny_encoder, tmp_path / "encoder"))
    write_source(folder, EncoderSource(model="bge-small-en-v1.5", origin="maven", licence="MIT"))
    return folder


@pytest.fixture
def small_set() -> DescribedSet:
    """Return texts of a taxonomy that ships."""
    texts = ["who are you", "what is it", "i am bob", "it is a cat", "nice", "hm"]
    return DescribedSet("community", shipped_taxonomy("community"), texts, np.array([0, 0, 1, 1, 2, 2]))


def test_the_float_graph_of_an_encoder_is_torchs_mean_over_real_tokens(tiny_encoder: Path) -> None:
    """No classifier, no pooler; padding does not count."""
    rows = [np.random.default_rng(n).integers(1000, 30000, size=n) for n in (2, 5, 40)]
    weights = {f"encoder.{name}": value for name, value in load_file(tiny_encoder / "model.safetensors").items()}
    graph = build_encoder_graph(weights, read_encoder_shape(tiny_encoder), FloatProducts())
    session = OnnxSession(graph.SerializeToString(), n_threads=1, pad_id=0, n_categories=32, output="embeddings")
    network = BertModel.from_pretrained(tiny_encoder).eval()
    with torch.no_grad():
        expected = [network(torch.tensor(row)[None]).last_hidden_state[0].mean(dim=0).numpy() for row in rows]
    np.testing.assert_allclose(session.logits(rows), np.stack(expected), atol=1e-4)


def test_a_frozen_encoder_is_the_same_each_time_and_embeds(
    licensed: Path, small_set: DescribedSet, tmp_path: Path
) -> None:
    """The file in the repository is the command's, and says whose weights it holds."""
    made = [
        freeze_encoder(licensed, tmp_path / name, sets=[small_set], pooling="mean", n_threads=1) for name in ("a", "b")
    ]
    assert made[0].digest == made[1].digest == load_frozen_encoder(tmp_path / "a").digest
    assert "Copyright (c) 2022 staoxiao" in (tmp_path / "a" / "LICENCE.txt").read_text()
    assert made[0].manifest.licence == "MIT"
    assert np.abs(made[0].text_shift).max() > 0
    texts = ["a cat", "a dog that barks"]
    vectors = Embedder(made[0], n_threads=1).vectors(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(vectors[1], Embedder(made[0], n_threads=1).vectors(texts[1:])[0])
    np.testing.assert_array_equal(unit_rows(np.zeros((1, 3), np.float32)), np.zeros((1, 3)))


def test_an_encoder_of_unknown_licence_is_not_frozen(
    tiny_encoder: Path, small_set: DescribedSet, tmp_path: Path
) -> None:
    """It would be shipped."""
    with pytest.raises(ValueError, match="nothing states the licence"):
        freeze_encoder(tiny_encoder, tmp_path / "out", sets=[small_set], pooling="mean", n_threads=1)
    with pytest.raises(ValueError, match="--pooling max: expected one of mean, cls"):
        pooling_named("max")


def test_another_folder_is_not_replaced(licensed: Path, small_set: DescribedSet, tmp_path: Path) -> None:
    """`--out .` by mistake."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "notes.txt").write_text("x")
    with pytest.raises(BundleError, match=r"holds no manifest\.json"):
        freeze_encoder(licensed, tmp_path / "work", sets=[small_set], pooling="cls", n_threads=1)
