"""Build the classifier's ONNX graph from its weights, with ONNX Runtime's fused operators written down directly.

The graph of a BERT encoder with pooling and a linear layer is small and fixed, so it is emitted node by node
instead of being traced and then pattern-matched: nothing depends on how an exporter of some version spells attention,
the same weights give the same bytes, and how a matrix product is computed (float or quantised) is one argument.

Invariant: inputs are input_ids and attention_mask, int64 [rows, tokens]; the output is logits, float32 [rows, 13], or
of an encoder alone the embeddings, float32 [rows, hidden].
Source: operator definitions in ONNX Runtime, `docs/ContribOperators.md`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from training_pipeline.graph.distilbert_weights import as_bert

FloatMatrix = NDArray[np.float32]

_OPSET: Final = 17
_IR_VERSION: Final = 8
_CONTRIB: Final = "com.microsoft"
_MASKED: Final = -10_000.0
_LEAST_GELU: Final = -0.17
"""x * Phi(x) has its minimum, -0.16997, at x = -0.7518."""


@dataclass(frozen=True)
class EncoderShape:
    """What the weights do not tell about a BERT or DistilBERT encoder."""

    n_layers: int
    n_heads: int
    layer_norm_epsilon: float
    pooling: str = "mean"
    """`mean` over the real tokens, or `cls`, the first one."""


class Graph:
    """Nodes and constants of a graph under construction, in order.

    Args:
        constants: Takes this graph's constants; those of the graph around it, where it stands in a branch.
    """

    def __init__(self, constants: dict[str, onnx.TensorProto] | None = None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants = {} if constants is None else constants

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """Add a constant once and return its name."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def node(self, op: str, inputs: Sequence[str], output: str, *, domain: str = "", **attributes: Any) -> str:
        """Append an operator with one output and return the output's name."""
        self.nodes.append(
            helper.make_node(op, list(inputs), [output], name=f"{output}/{op}", domain=domain, **attributes)
        )
        return output

    def fused(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Append one of ONNX Runtime's own operators."""
        return self.node(op, inputs, output, domain=_CONTRIB, **attributes)

    def model(self, n_columns: int, *, output: str = "logits") -> onnx.ModelProto:
        """Return the finished model; the last node's output must be the one named, float32 [rows, n_columns]."""
        token_shape = ["rows", "tokens"]
        graph = helper.make_graph(
            self.nodes,
            "conversation_classifier",
            [
                helper.make_tensor_value_info(name, TensorProto.INT64, token_shape)
                for name in ("input_ids", "attention_mask")
            ],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["rows", n_columns])],
            list(self.constants.values()),
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIB, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="verdictstream")


class Products(Protocol):
    """How tables are looked up and matrices multiplied: in float, or in INT8."""

    def look_up(self, graph: Graph, table: FloatMatrix, ids: str, site: str) -> str:
        """Emit rows of `table` at `ids`, float32 [..., columns]."""

    def multiply(
        self, graph: Graph, x: str, weights: Sequence[FloatMatrix], site: str, *, least: float | None = None
    ) -> list[str]:
        """Emit `x @ weight`, float32 [rows, tokens, n_out], for each weight [n_in, n_out].

        `least`: no value of x is below this negative number; None where nothing is known.
        """


class FloatProducts:
    """Everything in float32."""

    def look_up(self, graph: Graph, table: FloatMatrix, ids: str, site: str) -> str:
        """See `Products`."""
        return graph.node("Gather", [graph.constant(f"{site}.table", table), ids], f"{site}.rows")

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
        return [
            graph.node("MatMul", [x, graph.constant(f"{site}.{i}.weight", weight)], f"{site}.{i}.product")
            for i, weight in enumerate(weights)
        ]


def build_graph(weights: Mapping[str, FloatMatrix], shape: EncoderShape, products: Products) -> onnx.ModelProto:
    """Emit the whole classifier.

    Args:
        weights: Tensors of an `EncoderClassifier` checkpoint, by name; of a BERT or a DistilBERT encoder.
        shape: Layers, heads and epsilon.
        products: How tables and matrix products are computed.

    Raises:
        KeyError: a tensor is missing; the checkpoint is not of a BERT or DistilBERT encoder.
    """
    return _Emitter(Graph(), as_bert(weights), shape, products).emit()


def build_encoder_graph(weights: Mapping[str, FloatMatrix], shape: EncoderShape, products: Products) -> onnx.ModelProto:
    """Emit an encoder and its pooling, without a classifier on top; see `build_graph`.

    Raises:
        KeyError: a tensor is missing.
    """
    return _Emitter(Graph(), as_bert(weights), shape, products).emit_encoder()


@dataclass(frozen=True)
class _Emitter:
    graph: Graph
    weights: Mapping[str, FloatMatrix]
    shape: EncoderShape
    products: Products

    def emit(self) -> onnx.ModelProto:
        features = self._pooled()
        if "hidden.weight" in self.weights:
            inputs = [features, self._weight("hidden.weight"), self._weight("hidden.bias")]
            features = self.graph.node("Relu", [self.graph.node("Gemm", inputs, "hidden", transB=1)], "hidden.relu")
        inputs = [features, self._weight("head.weight"), self._weight("head.bias")]
        self.graph.node("Gemm", inputs, "logits", transB=1)
        return self.graph.model(len(self.weights["head.bias"]))

    def emit_encoder(self) -> onnx.ModelProto:
        self.graph.node("Identity", [self._pooled()], "embeddings")
        width = self.weights["encoder.embeddings.word_embeddings.weight"].shape[1]
        return self.graph.model(width, output="embeddings")

    def _pooled(self) -> str:
        mask = self.graph.node("Cast", ["attention_mask"], "mask.int32", to=TensorProto.INT32)
        hidden = self._embeddings()
        for layer in range(self.shape.n_layers):
            hidden = self._encoder_layer(hidden, mask, layer)
        return self._first_token(hidden) if self.shape.pooling == "cls" else self._mean(hidden)

    def _weight(self, name: str) -> str:
        return self.graph.constant(name, self.weights[name])

    def _product(self, x: str, names: Sequence[str], site: str, *, least: float | None = None) -> list[str]:
        """Multiply by each named torch weight, which is stored [n_out, n_in]."""
        weights = [self.weights[f"{name}.weight"].T for name in names]
        return self.products.multiply(self.graph, x, weights, site, least=least)

    def _embeddings(self) -> str:
        graph, weights, prefix = self.graph, self.weights, "encoder.embeddings"
        words = self.products.look_up(graph, weights[f"{prefix}.word_embeddings.weight"], "input_ids", "words")
        # Every token is of segment 0, so the segment's vector is part of the position's.
        table = weights[f"{prefix}.position_embeddings.weight"] + weights[f"{prefix}.token_type_embeddings.weight"][0]
        zero, one = graph.constant("zero", np.array(0)), graph.constant("one", np.array(1))
        n_tokens = graph.node("Gather", [graph.node("Shape", ["input_ids"], "shape"), one], "n_tokens")
        position_ids = graph.node("Range", [zero, n_tokens, one], "position_ids")
        positions = self.products.look_up(graph, table, position_ids, "positions")
        summed = graph.node("Add", [words, positions], "embeddings.sum")
        return self._normed(summed, f"{prefix}.LayerNorm", "embeddings.normed")

    def _encoder_layer(self, hidden: str, mask: str, layer: int) -> str:
        prefix, site = f"encoder.encoder.layer.{layer}", f"layer{layer}"
        parts = [f"{prefix}.attention.self.{part}" for part in ("query", "key", "value")]
        biases = np.concatenate([self.weights[f"{part}.bias"] for part in parts])
        context = self.graph.fused(
            "MultiHeadAttention",
            [*self._product(hidden, parts, f"{site}.qkv"), self.graph.constant(f"{site}.qkv.bias", biases), mask],
            f"{site}.context",
            num_heads=self.shape.n_heads,
            mask_filter_value=_MASKED,
        )
        attended = self._add_and_norm(context, hidden, f"{prefix}.attention.output", f"{site}.attention_out")
        (widened,) = self._product(attended, [f"{prefix}.intermediate.dense"], f"{site}.ffn_in")
        bias = self._weight(f"{prefix}.intermediate.dense.bias")
        activated = self.graph.fused("BiasGelu", [widened, bias], f"{site}.gelu")
        return self._add_and_norm(activated, attended, f"{prefix}.output", f"{site}.ffn_out", least=_LEAST_GELU)

    def _add_and_norm(self, x: str, skip: str, name: str, site: str, *, least: float | None = None) -> str:
        """Emit LayerNorm(x @ dense + bias + skip)."""
        (product,) = self._product(x, [f"{name}.dense"], site, least=least)
        # One Sum, because ONNX Runtime fuses Add and LayerNormalization into SkipLayerNormalization, whose CPU kernel
        # takes five times as long.
        summed = self.graph.node("Sum", [product, self._weight(f"{name}.dense.bias"), skip], f"{site}.sum")
        return self._normed(summed, f"{name}.LayerNorm", f"{site}.normed")

    def _normed(self, x: str, name: str, output: str) -> str:
        inputs = [x, self._weight(f"{name}.weight"), self._weight(f"{name}.bias")]
        return self.graph.node("LayerNormalization", inputs, output, axis=-1, epsilon=self.shape.layer_norm_epsilon)

    def _first_token(self, hidden: str) -> str:
        return self.graph.node("Gather", [hidden, self.graph.constant("zero", np.array(0))], "pool.first", axis=1)

    def _mean(self, hidden: str) -> str:
        # A masked mean: [rows, 1, tokens] @ [rows, tokens, hidden], divided by the number of real tokens.
        graph = self.graph
        mask = graph.node("Cast", ["attention_mask"], "mask.float", to=TensorProto.FLOAT)
        last, middle = graph.constant("axis.last", np.array([-1])), graph.constant("axis.middle", np.array([1]))
        total = graph.node("MatMul", [graph.node("Unsqueeze", [mask, middle], "mask.rows"), hidden], "pool.total")
        total = graph.node("Squeeze", [total, middle], "pool.total.2d")
        n_real = graph.node("ReduceSum", [mask, last], "pool.n_tokens", keepdims=1)
        return graph.node("Div", [total, n_real], "pool.mean")
