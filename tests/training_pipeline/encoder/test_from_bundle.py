"""A bundle's transformer becomes trainable again, so that a lost run does not cost a whole new one."""

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import load_file, save_file

from model import DEFAULT_BUNDLE_PATH, load_bundle
from training_pipeline.encoder.classifier import HEAD_WEIGHT, EncoderClassifier
from training_pipeline.encoder.files import read_encoder_shape
from training_pipeline.encoder.from_bundle import write_encoder_of
from training_pipeline.graph.onnx_graph import build_graph
from training_pipeline.graph.quantise import PerTokenProducts


def test_the_shipped_transformer_survives_the_way_back_and_forth(tmp_path: Path) -> None:
    """Quantised again, the weights give the levels that are shipped: nothing was lost or mixed up on the way."""
    bundle = load_bundle(DEFAULT_BUNDLE_PATH)
    folder = write_encoder_of(bundle, tmp_path / "encoder")
    model = EncoderClassifier.from_pretrained(folder, n_categories=13)
    weights = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    again = build_graph(weights, read_encoder_shape(folder), PerTokenProducts())
    shipped = {c.name: numpy_helper.to_array(c) for c in onnx.load_from_string(bundle.model).graph.initializer}
    for constant in again.graph.initializer:
        found, expected = numpy_helper.to_array(constant), shipped[constant.name]
        if found.dtype == np.int8:
            # A level on the edge between two may fall to either side after the scale was rounded to float32.
            assert np.abs(found.astype(int) - expected).max() <= 1, constant.name
            assert np.mean(found != expected) < 1e-3, constant.name
        else:
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7, err_msg=constant.name)
    np.testing.assert_array_equal(weights["head.weight"], load_file(folder / "model.safetensors")[HEAD_WEIGHT])


def test_an_encoder_without_a_head_starts_one_at_random(tmp_path: Path) -> None:
    """A pretrained encoder is not taken for a trained classifier."""
    folder = write_encoder_of(load_bundle(DEFAULT_BUNDLE_PATH), tmp_path / "encoder")
    weights = load_file(folder / "model.safetensors")
    onnx_head = weights.pop(HEAD_WEIGHT)

    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert not np.allclose(
        EncoderClassifier.from_pretrained(folder, n_categories=13).head.weight.detach().numpy(), onnx_head
    )
