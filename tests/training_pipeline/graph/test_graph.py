from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from model.inference.session import OnnxSession
from model.tokenization import TokenIds
from training_pipeline.encoder.classifier import EncoderClassifier
from training_pipeline.encoder.files import read_encoder_shape
from training_pipeline.graph.onnx_graph import FloatMatrix, FloatProducts, Graph, Products, build_graph
from training_pipeline.graph.quantise import WEIGHT_LEVEL_MAX, PerTokenProducts, quantise_columns
from training_pipeline.train.train import predict_logits


@pytest.fixture(scope="module")
def network(tiny_encoder: Path) -> EncoderClassifier:
    """Return a random classifier."""
    torch.manual_seed(2)
    return EncoderClassifier.from_pretrained(tiny_encoder, n_categories=13)


@pytest.fixture(scope="module")
def rows() -> list[TokenIds]:
    """Return token rows of many lengths."""
    rng = np.random.default_rng(3)
    return [rng.integers(1000, 30000, size=n) for n in [2, 3, 7, 12, 30, 64, 100, 192] * 8]


def _session(network: EncoderClassifier, encoder: Path, products: Products) -> OnnxSession:
    weights: dict[str, FloatMatrix] = {name: value.numpy() for name, value in network.state_dict().items()}
    graph = build_graph(weights, read_encoder_shape(encoder), products)
    return OnnxSession(graph.SerializeToString(), n_threads=1, pad_id=0, n_categories=13)


def _alone(session: OnnxSession, rows: list[TokenIds]) -> NDArray[np.float32]:
    return np.concatenate([session.logits([row]) for row in rows])


def test_the_float_graph_computes_what_torch_computes(
    network: EncoderClassifier, tiny_encoder: Path, rows: list[TokenIds]
) -> None:
    """The graph is written by hand, so any slip in it must show here, padding included."""
    found = _session(network, tiny_encoder, FloatProducts()).logits(rows)
    np.testing.assert_allclose(found, predict_logits(network, rows, pad_id=0), atol=1e-4)


def test_the_int8_graph_names_the_category_that_torch_names(
    network: EncoderClassifier, tiny_encoder: Path, rows: list[TokenIds]
) -> None:
    """Quantisation may cost a close call, not the classifier."""
    expected = predict_logits(network, rows, pad_id=0)
    found = _session(network, tiny_encoder, PerTokenProducts()).logits(rows)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.95
    assert np.abs(found - expected).max() < 0.15 * np.ptp(expected)


def test_an_int8_row_does_not_depend_on_its_neighbours(
    network: EncoderClassifier, tiny_encoder: Path, rows: list[TokenIds]
) -> None:
    """A verdict is deterministic only if the batch it happened to be in does not matter."""
    session = _session(network, tiny_encoder, PerTokenProducts())
    np.testing.assert_allclose(session.logits(rows), _alone(session, rows), atol=1e-5)


def test_int8_weights_leave_no_pair_of_products_outside_int16(network: EncoderClassifier, tiny_encoder: Path) -> None:
    """VPMADDUBSW saturates at int16: machines without VNNI would silently answer something else."""
    weights: dict[str, FloatMatrix] = {name: value.numpy() for name, value in network.state_dict().items()}
    graph = build_graph(weights, read_encoder_shape(tiny_encoder), PerTokenProducts())
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    products = [node for node in graph.graph.node if node.op_type == "MatMulIntegerToFloat"]
    assert len(products) == 2 * 6
    assert all(np.abs(constants[node.input[1]].astype(int)).max() <= WEIGHT_LEVEL_MAX for node in products)
    assert np.iinfo(np.int16).max >= 2 * 255 * WEIGHT_LEVEL_MAX


def test_the_graph_is_one_valid_file_with_int8_tables(network: EncoderClassifier, tiny_encoder: Path) -> None:
    """External data would be a second file that no digest covers; float tables would double the download."""
    weights: dict[str, FloatMatrix] = {name: value.numpy() for name, value in network.state_dict().items()}
    graph = build_graph(weights, read_encoder_shape(tiny_encoder), PerTokenProducts())
    onnx.checker.check_model(graph)
    assert not any(tensor.external_data for tensor in graph.graph.initializer)
    assert len(graph.SerializeToString()) < 0.3 * sum(value.nbytes for value in weights.values())


def test_quantised_columns_are_within_half_a_scale_also_where_a_column_is_zero() -> None:
    """A zero column (a dead unit) must not become NaN."""
    weight = np.random.default_rng(4).normal(size=(16, 5)).astype(np.float32)
    weight[:, 2] = 0.0
    levels, scales = quantise_columns(weight)
    assert levels.dtype == np.int8
    assert (np.abs(levels * scales - weight) <= scales / 2 + 1e-7).all()


def _multiplied(x: NDArray[np.float32], weight: FloatMatrix, *, least: float | None = None) -> NDArray[np.float32]:
    """Return the INT8 product of one token per row of x, computed by ONNX Runtime."""
    graph = Graph()
    (product,) = PerTokenProducts().multiply(graph, "x", [weight], "site", least=least)
    graph.node("Identity", [product], "logits")
    built = graph.model(13)
    built.graph.ClearField("input")
    built.graph.input.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *x.shape]))
    session = ort.InferenceSession(built.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(["logits"], {"x": x[None]})
    products: NDArray[np.float32] = found[0]
    return products


def test_a_token_of_zeros_gives_finite_products() -> None:
    """The scale of an all-zero token would be a division by zero."""
    x = np.array([[0, 0, 0, 0], [1, 2, 3, 4]], dtype=np.float32)
    found = _multiplied(x, np.ones((4, 13), dtype=np.float32))
    np.testing.assert_allclose(found[:, 0], [0.0, 10.0], rtol=0.02)


@pytest.mark.parametrize("largest", [0.01, 0.5, 1.0, 3.0, 20.0])
def test_uneven_levels_reach_down_to_the_least_value_and_come_closer_than_even_ones(largest: float) -> None:
    """A known minimum narrows the step; were it cut off, every GELU below zero would be wrong by the same amount."""
    values = np.linspace(-0.17, largest, 64, dtype=np.float32)
    # Each token is one value beside the largest, which a column of the identity reads back.
    x = np.stack([values, np.full_like(values, largest)], axis=1)
    read_first = np.zeros((2, 13), dtype=np.float32)
    read_first[0] = 1.0
    errors = np.abs(_multiplied(x, read_first, least=-0.17)[:, 0] - values)
    step = max(largest, 0.17 * 222 / 32) / 222
    assert errors.max() <= step / 2 + 1e-6
    if largest >= 1.0:
        assert errors.max() < np.abs(_multiplied(x, read_first)[:, 0] - values).max()
