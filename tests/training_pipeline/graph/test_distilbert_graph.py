"""DistilBERT is served by the same graph as BERT; other encoders are refused before anything is written."""

from pathlib import Path

import numpy as np
import orjson
import pytest
import torch
from transformers import DistilBertConfig, DistilBertModel

from model.inference.session import OnnxSession
from training_pipeline.encoder.classifier import EncoderClassifier
from training_pipeline.encoder.files import read_encoder_shape
from training_pipeline.graph.onnx_graph import FloatProducts, Products, build_graph
from training_pipeline.graph.quantise import PerTokenProducts
from training_pipeline.train.train import predict_logits


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a transformers folder with a random three-layer DistilBERT."""
    torch.manual_seed(5)
    config = DistilBertConfig(vocab_size=500, dim=32, n_layers=3, n_heads=4, hidden_dim=64, initializer_range=0.3)
    path = tmp_path_factory.mktemp("distilbert")
    DistilBertModel(config).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def network(folder: Path) -> EncoderClassifier:
    """Return a random classifier over it."""
    torch.manual_seed(6)
    return EncoderClassifier(DistilBertModel.from_pretrained(folder), hidden_size=32, n_categories=13)


@pytest.fixture(scope="module")
def rows() -> list[np.ndarray]:
    """Return token rows of many lengths, so that padding is in play."""
    rng = np.random.default_rng(7)
    return [rng.integers(1, 500, size=n) for n in [2, 3, 9, 30, 100, 192] * 6]


def _logits(network: EncoderClassifier, folder: Path, products: Products, rows: list[np.ndarray]) -> np.ndarray:
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    graph = build_graph(weights, read_encoder_shape(folder), products)
    return OnnxSession(graph.SerializeToString(), n_threads=1, pad_id=0, n_categories=13).logits(rows)


def test_the_float_graph_of_distilbert_computes_what_torch_computes(
    network: EncoderClassifier, folder: Path, rows: list[np.ndarray]
) -> None:
    """Renamed weights, no token types, an epsilon that no file tells: each could be wrong by a little."""
    found = _logits(network, folder, FloatProducts(), rows)
    np.testing.assert_allclose(found, predict_logits(network, rows, pad_id=0), atol=1e-4)


def test_the_int8_graph_of_distilbert_names_the_category_that_torch_names(
    network: EncoderClassifier, folder: Path, rows: list[np.ndarray]
) -> None:
    """Quantisation goes through the same products for both encoders."""
    found = _logits(network, folder, PerTokenProducts(), rows)
    assert (found.argmax(axis=1) == predict_logits(network, rows, pad_id=0).argmax(axis=1)).mean() >= 0.9


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "roberta", "hidden_act": "gelu"},
        {"model_type": "bert", "hidden_act": "relu"},
        {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "relative_key"},
        {"model_type": "distilbert", "activation": "relu"},
        [],
    ],
)
def test_an_encoder_that_the_graph_cannot_compute_is_refused(tmp_path: Path, config: object) -> None:
    """A graph that runs and answers something else is the worst outcome."""
    (tmp_path / "config.json").write_bytes(orjson.dumps(config))
    with pytest.raises(ValueError, match="expected"):
        read_encoder_shape(tmp_path)
