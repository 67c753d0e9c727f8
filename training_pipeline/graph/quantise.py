"""The INT8 scheme of the bundles: weights per column, activations per token.

Each token's activations are scaled by their own largest magnitude just before a product. So a conversation's logits do
not depend on which conversations share its batch, unlike with ONNX Runtime's dynamic quantisation, which takes one
scale over the whole padded batch. Everything needed exists as an operator, so nothing is calibrated and no data is
read.

What GELU gives never falls below -0.17 and reaches far above, so its levels lie unevenly around zero, which makes their
step almost half as wide.

Invariant: activation levels are 0..255 and weight levels -64..64. A pair of products is then at most 2 x 255 x 64 =
32,640, inside int16: the AVX2 instruction VPMADDUBSW, which saturates there and which machines without VNNI use,
computes the same as VNNI does.
Source: per-token activation and per-channel weight scales as in Yao et al., ZeroQuant (NeurIPS 2022).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from training_pipeline.graph.onnx_graph import FloatMatrix, Graph

QUANTISATION: Final = (
    "INT8: weights per column, embeddings per row, activations per token; see training_pipeline/graph/quantise.py"
)
"""What manifests say of it."""

INT8_LEVEL_MAX: Final = 127
WEIGHT_LEVEL_MAX: Final = 64

_ACTIVATION_ZERO: Final = 128

_UNEVEN_ZERO: Final = 32
"""Zero level of activations with a known minimum near zero, those of GELU."""

_SMALLEST_MAGNITUDE: Final = 1e-12
"""Keeps an all-zero column or token from dividing by zero."""


def quantise_columns(
    weight: FloatMatrix, *, level_max: int = INT8_LEVEL_MAX
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantise a matrix symmetrically with one scale per column.

    Args:
        weight: float32 [n_in, n_out].
        level_max: Largest level, at most 127.

    Returns:
        int8 levels [n_in, n_out] and float32 scales [n_out]; `levels * scales` is within half a scale of `weight`.
    """
    scales = np.maximum(np.abs(weight).max(axis=0), _SMALLEST_MAGNITUDE).astype(np.float32) / np.float32(level_max)
    levels = np.clip(np.rint(weight / scales), -level_max, level_max).astype(np.int8)
    return levels, scales


class PerTokenProducts:
    """INT8 products with one activation scale per token; embedding tables with one scale per row. See `Products`."""

    def look_up(self, graph: Graph, table: FloatMatrix, ids: str, site: str) -> str:
        """Emit rows of `table` at `ids`, float32 [..., columns], widened after the look-up."""
        levels, scales = quantise_columns(table.T)
        found = graph.node("Gather", [graph.constant(f"{site}.levels", levels.T), ids], f"{site}.found")
        scale = graph.node("Gather", [graph.constant(f"{site}.scales", scales[:, None]), ids], f"{site}.scale")
        widened = graph.node("Cast", [found], f"{site}.widened", to=TensorProto.FLOAT)
        return graph.node("Mul", [widened, scale], f"{site}.rows")

    def multiply(
        self, graph: Graph, x: str, weights: Sequence[FloatMatrix], site: str, *, least: float | None = None
    ) -> list[str]:
        """Emit `x @ weight`, float32 [rows, tokens, n_out], for each weight [n_in, n_out]; see `Products`."""
        scale, zero, n_above = self._even(graph, x, site) if least is None else self._uneven(graph, x, site, least)
        step = graph.constant(f"activation.step.{n_above}", np.array(1 / n_above, dtype=np.float32))
        unit = graph.node("Div", [x, scale], f"{site}.unit")
        levels = graph.node("QuantizeLinear", [unit, step, zero], f"{site}.x_levels")
        outputs = []
        for i, weight in enumerate(weights):
            weight_levels, weight_scales = quantise_columns(weight, level_max=WEIGHT_LEVEL_MAX)
            inputs = [
                levels,
                graph.constant(f"{site}.{i}.levels", weight_levels),
                step,
                graph.constant(f"{site}.{i}.scales", weight_scales),
                zero,
            ]
            product = graph.fused("MatMulIntegerToFloat", inputs, f"{site}.{i}.integer_product")
            outputs.append(graph.node("Mul", [product, scale], f"{site}.{i}.product"))
        return outputs

    @staticmethod
    def _even(graph: Graph, x: str, site: str) -> tuple[str, str, int]:
        """Emit each token's largest magnitude; return it with the zero level and the levels above that."""
        magnitudes = graph.node("Abs", [x], f"{site}.magnitudes")
        largest = graph.node("ReduceMax", [magnitudes], f"{site}.largest", axes=[-1], keepdims=1)
        tiny = graph.constant("activation.tiny", np.array(_SMALLEST_MAGNITUDE, dtype=np.float32))
        zero = graph.constant("activation.zero", np.array(_ACTIVATION_ZERO, dtype=np.uint8))
        return graph.node("Max", [largest, tiny], f"{site}.scale"), zero, INT8_LEVEL_MAX

    @staticmethod
    def _uneven(graph: Graph, x: str, site: str, least: float) -> tuple[str, str, int]:
        """Do the same where values reach far above zero and hardly below: most levels lie above."""
        n_above = 2 * INT8_LEVEL_MAX - _UNEVEN_ZERO
        largest = graph.node("ReduceMax", [x], f"{site}.largest", axes=[-1], keepdims=1)
        # Below this scale the levels under zero would not reach down to `least`.
        smallest = -least * n_above / _UNEVEN_ZERO
        floor = graph.constant(f"activation.floor.{least}", np.array(smallest, dtype=np.float32))
        zero = graph.constant("activation.uneven_zero", np.array(_UNEVEN_ZERO, dtype=np.uint8))
        return graph.node("Max", [largest, floor], f"{site}.scale"), zero, n_above
