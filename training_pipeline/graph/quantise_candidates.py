"""The quantisation schemes that were weighed against the chosen one; only `quantise-compare` uses them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper

from model.tokenization import TokenIds
from training_pipeline.graph.onnx_graph import EncoderShape, FloatMatrix, FloatProducts, Graph, Products, build_graph
from training_pipeline.graph.quantise import (
    INT8_LEVEL_MAX,
    WEIGHT_LEVEL_MAX,
    Int8Tables,
    PerTokenProducts,
    QuantisedActivations,
)

_REDUCED_ACTIVATION_LEVEL_MAX: Final = 63
_UINT8_MAX: Final = 255
_MAX_SAMPLED_VALUES: Final = 20_000
_BLOCK_COLUMNS: Final = 128

Range = tuple[float, float]


@dataclass(frozen=True)
class PerBatchProducts(Int8Tables):
    """ONNX Runtime's dynamic quantisation: one activation scale over the whole padded batch."""

    weight_level_max: int = INT8_LEVEL_MAX

    def multiply(
        self,
        graph: Graph,
        x: str,
        weights: Sequence[FloatMatrix],
        site: str,
        *,
        least: float | None = None,  # noqa: ARG002
    ) -> list[str]:
        """See `Products`."""
        names = [f"{site}.x_levels", f"{site}.x_scale", f"{site}.x_zero"]
        graph.nodes.append(helper.make_node("DynamicQuantizeLinear", [x], names, name=f"{site}/quantise"))
        quantised = QuantisedActivations(*names)
        return [
            quantised.product(graph, weight, f"{site}.{i}", level_max=self.weight_level_max)
            for i, weight in enumerate(weights)
        ]


@dataclass(frozen=True)
class StaticProducts(Int8Tables):
    """Static quantisation: one activation range per place in the graph, observed on training chats."""

    ranges: Mapping[str, Range]

    def multiply(
        self,
        graph: Graph,
        x: str,
        weights: Sequence[FloatMatrix],
        site: str,
        *,
        least: float | None = None,  # noqa: ARG002
    ) -> list[str]:
        """See `Products`."""
        low, high = self.ranges[site]
        step = np.float32((high - low) / _UINT8_MAX)
        scale = graph.constant(f"{site}.x_scale", np.array(step))
        zero = graph.constant(f"{site}.x_zero", np.array(round(-low / step), dtype=np.uint8))
        levels = graph.node("QuantizeLinear", [x, scale, zero], f"{site}.x_levels")
        quantised = QuantisedActivations(levels, scale, zero)
        return [
            quantised.product(graph, weight, f"{site}.{i}", level_max=INT8_LEVEL_MAX)
            for i, weight in enumerate(weights)
        ]


class BlockProducts(Int8Tables):
    """MatMulNBits with 8-bit weights in blocks of 128; activations in INT8 per row and block."""

    def multiply(
        self,
        graph: Graph,
        x: str,
        weights: Sequence[FloatMatrix],
        site: str,
        *,
        least: float | None = None,  # noqa: ARG002
    ) -> list[str]:
        """See `Products`."""
        return [self._product(graph, x, weight, f"{site}.{i}") for i, weight in enumerate(weights)]

    @staticmethod
    def _product(graph: Graph, x: str, weight: FloatMatrix, site: str) -> str:
        n_in, n_out = weight.shape
        blocks = weight.T.reshape(n_out, n_in // _BLOCK_COLUMNS, _BLOCK_COLUMNS)
        scales = (np.abs(blocks).max(axis=2, keepdims=True) / INT8_LEVEL_MAX).astype(np.float32)
        levels = (np.rint(blocks / scales) + INT8_LEVEL_MAX + 1).astype(np.uint8)
        inputs = [x, graph.constant(f"{site}.levels", levels), graph.constant(f"{site}.scales", scales.reshape(-1))]
        attributes = {"K": n_in, "N": n_out, "bits": 8, "block_size": _BLOCK_COLUMNS, "accuracy_level": 4}
        return graph.fused("MatMulNBits", inputs, f"{site}.product", **attributes)


def candidates(
    weights: Mapping[str, FloatMatrix], shape: EncoderShape, training_rows: Sequence[TokenIds]
) -> dict[str, Products]:
    """Return every scheme by name; the static ones observe these training rows."""
    observed = _observe(weights, shape, training_rows)
    return {
        "float": FloatProducts(),
        "per batch": PerBatchProducts(),
        "per batch, 7-bit weights": PerBatchProducts(WEIGHT_LEVEL_MAX),
        "static min-max": StaticProducts({site: _range(values, 1.0) for site, values in observed.items()}),
        "static 99.99 %": StaticProducts({site: _range(values, 0.9999) for site, values in observed.items()}),
        "MatMulNBits 8 bit": BlockProducts(),
        "per token": PerTokenProducts(weight_level_max=INT8_LEVEL_MAX),
        "per token, 7-bit activations": PerTokenProducts(_REDUCED_ACTIVATION_LEVEL_MAX, INT8_LEVEL_MAX),
        "per token, 7-bit weights": PerTokenProducts(),
    }


def _observe(
    weights: Mapping[str, FloatMatrix], shape: EncoderShape, rows: Sequence[TokenIds]
) -> dict[str, NDArray[np.float32]]:
    """Return sorted activation samples of each place in the float graph, extremes included."""
    graph = build_graph(weights, shape, FloatProducts())
    inputs = {
        node.output[0].removesuffix(".0.product"): node.input[0]
        for node in graph.graph.node
        if node.output[0].endswith(".0.product")
    }
    shown = sorted(set(inputs.values()))
    graph.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in shown)
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    samples: dict[str, list[NDArray[np.float32]]] = {name: [] for name in shown}
    rng = np.random.default_rng(0)
    for row in rows:
        outputs = session.run(shown, {"input_ids": row[None], "attention_mask": np.ones((1, len(row)), np.int64)})
        for name, values in zip(shown, outputs, strict=True):
            picked = rng.choice(values.ravel(), min(_MAX_SAMPLED_VALUES, values.size), replace=False)
            samples[name].append(np.concatenate([picked, [values.min(), values.max()]]))
    joined = {name: np.sort(np.concatenate(parts)) for name, parts in samples.items()}
    return {site: joined[name] for site, name in inputs.items()}


def _range(ascending: NDArray[np.float32], kept: float) -> Range:
    """Return the range that keeps this share of the values at each end, widened to hold 0."""
    last = len(ascending) - 1
    return min(float(ascending[round((1 - kept) * last)]), 0.0), max(float(ascending[round(kept * last)]), 0.0)
