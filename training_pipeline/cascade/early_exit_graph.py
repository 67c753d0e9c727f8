"""Give a classifier's graph exits between its layers: a row that is sure enough leaves, and fewer rows go on.

After a layer a small network looks at the mean of a row's token vectors. Where its answer is confident and sure of the
side, that answer is the row's logits; the other rows are gathered and go on. The rest of the graph stands in an `If`,
because ONNX Runtime's integer products do not take a batch without rows. Inputs and outputs stay what they were, so
that serving neither knows nor cares.

Invariant: the logits of a row that stays are those of the graph without exits.
Source: Schwartz, Stanovsky, Swayamdipta, Dodge, Smith, The Right Tool for the Job: Matching Model and Instance
Complexities (ACL 2020): a classifier after some layers, and a confidence from which its answer counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from model.bundle.manifest import ExitSides
from model.calibration import FloatArray
from training_pipeline.graph.onnx_graph import Graph

_ATTENTION_MASK: Final = "attention_mask"
_LAYER_MASK: Final = "mask.int32"
_LOGITS: Final = "logits"
_CONFIDENCE: Final = "exit.confidence"
_NEVER: Final = 2.0
"""A confidence that no probability reaches."""


@dataclass(frozen=True)
class ExitHead:
    """The network of one exit: one hidden layer with ReLU. Its logits stand in for the model's, on the same scale."""

    after_layer: int
    """Counted from 1."""
    hidden: FloatArray
    """float32 [width, n_units]."""
    hidden_bias: FloatArray
    """float32 [n_units]."""
    output: FloatArray
    """float32 [n_units, 13]."""
    output_bias: FloatArray
    """float32 [13]."""

    def logits(self, means: FloatArray) -> FloatArray:
        """Return logits, float32 [n_rows, 13].

        Args:
            means: float32 [n_rows, width], each the mean of a row's token vectors after the layer.
        """
        units = np.maximum(means @ self.hidden + self.hidden_bias, 0)
        scores: FloatArray = units @ self.output + self.output_bias
        return scores


@dataclass(frozen=True)
class ExitRule:
    """When a row leaves."""

    confidence: float
    """Probability of the most probable category, at least."""
    sides: ExitSides | None
    """None where nothing is banned: then the most probable category decides alone."""
    codes: Sequence[str]
    """Of the output columns."""
    temperature: float = 1.0
    """Divisor of an exit's logits before the softmax, the one that the model's own logits get."""


def hidden_name(after_layer: int) -> str:
    """Return the name of a layer's output in a graph by `onnx_graph`, float32 [rows, tokens, width]."""
    return f"layer{after_layer - 1}.ffn_out.normed"


def mean_of_tokens(graph: Graph, hidden: str, attention_mask: str, site: str) -> str:
    """Emit the mean of each row's token vectors without the padding, float32 [rows, width]."""
    last, middle = graph.constant("exit.last", np.array([-1])), graph.constant("exit.middle", np.array([1]))
    mask = graph.node("Cast", [attention_mask], f"{site}.mask", to=TensorProto.FLOAT)
    total = graph.node("MatMul", [graph.node("Unsqueeze", [mask, middle], f"{site}.mask.3d"), hidden], f"{site}.sum.3d")
    n_real = graph.node("ReduceSum", [mask, last], f"{site}.n_tokens", keepdims=1)
    return graph.node("Div", [graph.node("Squeeze", [total, middle], f"{site}.sum"), n_real], f"{site}.mean")


def with_exits(model: onnx.ModelProto, heads: Sequence[ExitHead], rule: ExitRule) -> onnx.ModelProto:
    """Return the model with exits.

    Args:
        model: A graph by `onnx_graph`.
        heads: At least one, in the order of their layers.
        rule: When a row leaves.

    Raises:
        ValueError: the graph has no such layer, or the heads are not in order.
    """
    layers = [head.after_layer for head in heads]
    if not layers or layers != sorted(set(layers)):
        raise ValueError(f"exits after layers {layers}; expected at least one, each layer once, in order")
    changed = onnx.ModelProto.FromString(model.SerializeToString())
    parts = _cut(list(changed.graph.node), [hidden_name(layer) for layer in layers])
    emitter = _Exits(rule, {})
    nodes = emitter.emit(parts, heads, {}, _LOGITS)
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    changed.graph.initializer.extend(emitter.constants.values())
    return changed


def without_leaving(model: bytes) -> bytes:
    """Return model.onnx with exits that no row takes: every row gets the logits of the last layer.

    Args:
        model: Contents of model.onnx, with exits or without.
    """
    return with_confidence(model, _NEVER)


def with_confidence(model: bytes, confidence: float) -> bytes:
    """Return model.onnx whose rows leave from another confidence on.

    Args:
        model: Contents of model.onnx, with exits or without.
        confidence: Probability of the most probable category, at least.
    """
    changed = onnx.load_from_string(model)
    for constant in changed.graph.initializer:
        if constant.name == _CONFIDENCE:
            limit = np.full(tuple(constant.dims), confidence, dtype=np.float32)
            constant.CopyFrom(onnx.numpy_helper.from_array(limit, _CONFIDENCE))
    return changed.SerializeToString(deterministic=True)


def _cut(nodes: list[onnx.NodeProto], after: Sequence[str]) -> list[list[onnx.NodeProto]]:
    """Cut the nodes behind each of these outputs."""
    outputs = [node.output[0] for node in nodes]
    if missing := [name for name in after if name not in outputs]:
        raise ValueError(f"the graph has no {', '.join(missing)}; expected exits after layers that it has")
    ends = [outputs.index(name) + 1 for name in after]
    return [nodes[start:end] for start, end in zip([0, *ends], [*ends, len(nodes)], strict=True)]


def _renamed(node: onnx.NodeProto, names: Mapping[str, str]) -> onnx.NodeProto:
    copy = onnx.NodeProto.FromString(node.SerializeToString())
    copy.input[:] = [names.get(name, name) for name in node.input]
    copy.output[:] = [names.get(name, name) for name in node.output]
    return copy


@dataclass(frozen=True)
class _Exits:
    rule: ExitRule
    constants: dict[str, onnx.TensorProto]
    """Those of all exits: branches of an `If` see what stands outside of them."""

    def emit(
        self, parts: Sequence[list[onnx.NodeProto]], heads: Sequence[ExitHead], names: Mapping[str, str], logits: str
    ) -> list[onnx.NodeProto]:
        """Return the nodes that make the logits of the rows that are left.

        Args:
            parts: The nodes up to the first exit, up to the next, and so on.
            heads: The exits, one fewer.
            names: What a value of all rows is called where some rows have left.
            logits: What to call the outcome.
        """
        own = [_renamed(node, {**names, _LOGITS: logits}) for node in parts[0]]
        if not heads:
            return own
        head, graph = heads[0], Graph(self.constants)
        site = f"exit{head.after_layer}"
        values = {name: names.get(name, name) for name in (_ATTENTION_MASK, _LAYER_MASK)}
        values[hidden_name(head.after_layer)] = hidden_name(head.after_layer)
        answer = self._answer(graph, values, head, site)
        rows = self._rows_that_stay(graph, answer, site)
        n_rows = graph.node("Size", [rows], f"{site}.n_rows")
        any_stays = graph.node("Greater", [n_rows, graph.constant("exit.none", np.array(0))], f"{site}.any_stays")
        left = Graph(self.constants)
        inner = {name: left.node("Gather", [value, rows], f"{site}.{name}") for name, value in values.items()}
        rest = self.emit(parts[1:], heads[1:], inner, f"{site}.rest")
        both = Graph(self.constants)
        index = both.node("Unsqueeze", [rows, both.constant("exit.last", np.array([-1]))], f"{site}.index")
        both.node("ScatterND", [answer, index, f"{site}.rest"], f"{site}.both")
        alone = helper.make_node("Identity", [answer], [f"{site}.alone"])
        graph.node(
            "If",
            [any_stays],
            logits,
            then_branch=_branch([*left.nodes, *rest, *both.nodes], f"{site}.both", len(self.rule.codes)),
            else_branch=_branch([alone], f"{site}.alone", len(self.rule.codes)),
        )
        return [*own, *graph.nodes]

    def _answer(self, graph: Graph, values: Mapping[str, str], head: ExitHead, site: str) -> str:
        mean = mean_of_tokens(graph, values[hidden_name(head.after_layer)], values[_ATTENTION_MASK], site)
        weights = {
            name: graph.constant(f"{site}.{name}", getattr(head, name).astype(np.float32))
            for name in ("hidden", "hidden_bias", "output", "output_bias")
        }
        units = graph.node("Gemm", [mean, weights["hidden"], weights["hidden_bias"]], f"{site}.units")
        return graph.node(
            "Gemm",
            [graph.node("Relu", [units], f"{site}.active"), weights["output"], weights["output_bias"]],
            f"{site}.answer",
        )

    def _rows_that_stay(self, graph: Graph, answer: str, site: str) -> str:
        """Emit the positions of the rows that are not sure enough, int64 [n_rows]."""
        confidence = graph.constant(_CONFIDENCE, np.array(self.rule.confidence, dtype=np.float32))
        temperature = graph.constant("exit.temperature", np.array(self.rule.temperature, dtype=np.float32))
        cooled = graph.node("Div", [answer, temperature], f"{site}.cooled")
        probabilities = graph.node("Softmax", [cooled], f"{site}.probabilities", axis=-1)
        largest = graph.node("ReduceMax", [probabilities], f"{site}.largest", axes=[-1])
        stays = graph.node("Less", [largest, confidence], f"{site}.unsure")
        if self.rule.sides is not None:
            between = self._between(graph, probabilities, self.rule.sides, site)
            stays = graph.node("Or", [stays, between], f"{site}.stays")
        flat = graph.node("Squeeze", [stays, graph.constant("exit.middle", np.array([1]))], f"{site}.stays.1d")
        first = graph.constant("exit.first", np.array([0]))
        return graph.node("Squeeze", [graph.node("NonZero", [flat], f"{site}.places"), first], f"{site}.rows")

    def _between(self, graph: Graph, probabilities: str, sides: ExitSides, site: str) -> str:
        """Emit which rows are unsure of their side, bool [n_rows, 1]."""
        banned = np.array([[code in sides.codes] for code in self.rule.codes], dtype=np.float32)
        ends = np.array([sides.margin, 1 - sides.margin], dtype=np.float32)
        low, high = graph.constant("exit.low", ends[:1]), graph.constant("exit.high", ends[1:])
        share = graph.node("MatMul", [probabilities, graph.constant("exit.banned", banned)], f"{site}.share")
        above = graph.node("Greater", [share, low], f"{site}.above")
        return graph.node("And", [above, graph.node("Less", [share, high], f"{site}.below")], f"{site}.between")


def _branch(nodes: list[onnx.NodeProto], output: str, n_categories: int) -> onnx.GraphProto:
    value = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["rows", n_categories])
    return helper.make_graph(nodes, output, [], [value])
