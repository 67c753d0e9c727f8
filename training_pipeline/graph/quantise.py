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
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from training_pipeline.graph.onnx_graph import FloatMatrix, Graph

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


class Int8Tables:
    """Embedding tables in INT8 with one scale per row, widened after the look-up."""

    def look_up(self, graph: Graph, table: FloatMatrix, ids: str, site: str) -> str:
        """Emit rows of `table` at `ids`, float32 [..., columns]."""
        levels, scales = quantise_columns(table.T)
        found = graph.node("Gather", [graph.constant(f"{site}.levels", levels.T), ids], f"{site}.found")
        scale = graph.node("Gather", [graph.constant(f"{site}.scales", scales[:, None]), ids], f"{site}.scale")
        widened = graph.node("Cast", [found], f"{site}.widened", to=TensorProto.FLOAT)
        return graph.node("Mul", [widened, scale], f"{site}.rows")


@dataclass(frozen=True)
class QuantisedActivations:
    """Names of levels (uint8), their scale and their zero level in the graph."""

    levels: str
    scale: str
    zero: str

    def product(self, graph: Graph, weight: FloatMatrix, site: str, *, level_max: int) -> str:
        """Emit the product with a weight that is quantised per column, float32."""
        levels, scales = quantise_columns(weight, level_max=level_max)
        weight_levels = graph.constant(f"{site}.levels", levels)
        weight_scales = graph.constant(f"{site}.scales", scales)
        inputs = [self.levels, weight_levels, self.scale, weight_scales, self.zero]
        return graph.fused("MatMulIntegerToFloat", inputs, f"{site}.integer_product")


@dataclass(frozen=True)
class PerTokenProducts(Int8Tables):
    """INT8 products with one activation scale per token.

    Args:
        activation_level_max: Largest distance of an activation level from the zero level.
        weight_level_max: Largest magnitude of a weight level.
    """

    activation_level_max: int = INT8_LEVEL_MAX
    weight_level_max: int = WEIGHT_LEVEL_MAX

    def multiply(
        self, graph: Graph, x: str, weights: Sequence[FloatMatrix], site: str, *, least: float | None = None
    ) -> list[str]:
        """Emit `x @ weight`, float32 [rows, tokens, n_out], for each weight [n_in, n_out]; see `Products`."""
        scale, zero, n_above = self._even(graph, x, site) if least is None else self._uneven(graph, x, site, least)
        step = graph.constant(f"activation.step.{n_above}", np.array(1 / n_above, dtype=np.float32))
        unit = graph.node("Div", [x, scale], f"{site}.unit")
        levels = graph.node("QuantizeLinear", [unit, step, zero], f"{site}.x_levels")
        quantised = QuantisedActivations(levels, step, zero)
        outputs = []
        for i, weight in enumerate(weights):
            product = quantised.product(graph, weight, f"{site}.{i}", level_max=self.weight_level_max)
            outputs.append(graph.node("Mul", [product, scale], f"{site}.{i}.product"))
        return outputs

    def _even(self, graph: Graph, x: str, site: str) -> tuple[str, str, int]:
        """Emit each token's largest magnitude; return it with the zero level and the levels above that."""
        magnitudes = graph.node("Abs", [x], f"{site}.magnitudes")
        largest = graph.node("ReduceMax", [magnitudes], f"{site}.largest", axes=[-1], keepdims=1)
        tiny = graph.constant("activation.tiny", np.array(_SMALLEST_MAGNITUDE, dtype=np.float32))
        zero = graph.constant("activation.zero", np.array(_ACTIVATION_ZERO, dtype=np.uint8))
        return graph.node("Max", [largest, tiny], f"{site}.scale"), zero, self.activation_level_max

    def _uneven(self, graph: Graph, x: str, site: str, least: float) -> tuple[str, str, int]:
        """Do the same where values reach far above zero and hardly below: most levels lie above."""
        n_above = 2 * self.activation_level_max - _UNEVEN_ZERO
        largest = graph.node("ReduceMax", [x], f"{site}.largest", axes=[-1], keepdims=1)
        # Below this scale the levels under zero would not reach down to `least`.
        smallest = -least * n_above / _UNEVEN_ZERO
        floor = graph.constant(f"activation.floor.{least}", np.array(smallest, dtype=np.float32))
        zero = graph.constant("activation.uneven_zero", np.array(_UNEVEN_ZERO, dtype=np.uint8))
        return graph.node("Max", [largest, floor], f"{site}.scale"), zero, n_above
