"""Fit the exits inside an encoder: a small network after some layers, taught by what the whole model answers.

The chats are those that the model was trained on; only the scale of each network's logits, which makes them calibrated,
comes from held-out chats, from the part that carries no guarantee.

Invariant: the same model, chats and options give the same networks, on the same kind of processor.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from model.batching import plan_batches
from model.calibration import FloatArray, softmax
from model.cascade.first_stage import is_decided
from model.inference.onnx_runtime import ort
from model.inference.session import padded
from model.tokenization import TokenIds
from training_pipeline.bundle.scaling_fit import Groups
from training_pipeline.cascade.early_exit_graph import ExitHead, ExitRule, hidden_name, mean_of_tokens, with_exits
from training_pipeline.cascade.first_stage_fit import exit_sides, fit_members
from training_pipeline.cascade.network_options import NetworkOptions
from training_pipeline.graph.onnx_graph import Graph

_MAX_PADDED_TOKENS: Final = 512
_MAX_ROWS: Final = 64
_SMALLEST_DEVIATION: Final = 1e-5


@dataclass(frozen=True)
class EarlyExitOptions:
    """What decides the exits besides the model and the chats."""

    after_layers: tuple[int, ...] | None = None
    """Counted from 1; those that the encoder has not, and its last, are left out. None: after a third, a half and two
    thirds of its layers."""
    confidence: float = 0.8
    """A row leaves where the most probable category has at least this probability."""
    margin: float = 0.05
    """And where the probability that the chat is banned is at most this, or at least 1 - this."""
    network: NetworkOptions = field(
        default_factory=partial(NetworkOptions, n_dimensions=None, n_units=256, n_epochs=20)
    )

    def layers(self, n_layers: int) -> list[int]:
        """Return the layers, of an encoder that has so many, that get an exit behind them."""
        wanted = self.after_layers or [round(n_layers * part) for part in (1 / 3, 1 / 2, 2 / 3)]
        return sorted({layer for layer in wanted if 0 < layer < n_layers})


@dataclass(frozen=True)
class EarlyExits:
    """Fitted exits of one model."""

    heads: list[ExitHead]
    rule: ExitRule

    def inside(self, model: bytes) -> bytes:
        """Return model.onnx with these exits."""
        changed = with_exits(onnx.load_from_string(model), self.heads, self.rule)
        return changed.SerializeToString(deterministic=True)

    def left_after(self, means: Sequence[FloatArray]) -> NDArray[np.int64]:
        """Return the layer after which each row leaves, int64 [n_rows]; 0 where it stays to the end.

        Args:
            means: For each exit float32 [n_rows, width], see `LayerMeans`.
        """
        layers = np.zeros(len(means[0]), dtype=np.int64)
        for head, mean in zip(self.heads, means, strict=True):
            probabilities = softmax(head.logits(mean) / np.float32(self.rule.temperature))
            sure = (probabilities.max(axis=1) >= self.rule.confidence) & is_decided(
                probabilities, self.rule.sides, self.rule.codes
            )
            layers[sure & (layers == 0)] = head.after_layer
        return layers


class LayerMeans:
    """A model that also gives the mean of each row's token vectors after some layers.

    Args:
        model: Contents of model.onnx, by `onnx_graph`, without exits.
        after_layers: Layers, counted from 1.
        pad_id: Token id that fills short rows.
        n_threads: Threads of one inference.
    """

    def __init__(self, model: bytes, after_layers: Sequence[int], *, pad_id: int, n_threads: int) -> None:
        wider = onnx.load_from_string(model)
        graph = Graph()
        self._names = [mean_of_tokens(graph, hidden_name(n), "attention_mask", f"after{n}") for n in after_layers]
        wider.graph.node.extend(graph.nodes)
        wider.graph.initializer.extend(graph.constants.values())
        wider.graph.output.extend(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", None]) for name in self._names
        )
        options = ort.SessionOptions()
        options.intra_op_num_threads = n_threads
        self._session = ort.InferenceSession(wider.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self._pad_id = pad_id

    def __call__(self, rows: Sequence[TokenIds]) -> tuple[list[FloatArray], FloatArray]:
        """Return per layer the means, float32 [n_rows, width], and logits, float32 [n_rows, n_categories]."""
        parts: list[tuple[list[int], list[FloatArray]]] = []
        lengths = [len(row) for row in rows]
        for batch in plan_batches(lengths, max_padded_tokens=_MAX_PADDED_TOKENS, max_rows=_MAX_ROWS):
            inputs = padded([rows[i] for i in batch], self._pad_id)
            parts.append((batch, self._session.run(["logits", *self._names], inputs)))
        order = np.argsort(np.concatenate([batch for batch, _ in parts]))
        logits, *means = (np.concatenate(column)[order] for column in zip(*(found for _, found in parts), strict=True))
        return means, logits


def layers_of(model: bytes) -> int:
    """Return the number of encoder layers of a graph by `onnx_graph`."""
    outputs = {node.output[0] for node in onnx.load_from_string(model).graph.node}
    n_layers = 0
    while hidden_name(n_layers + 1) in outputs:
        n_layers += 1
    return n_layers


def fit_early_exits(
    model: bytes,
    training: Sequence[TokenIds],
    scaling: tuple[Sequence[TokenIds], NDArray[np.int64]],
    options: EarlyExitOptions,
    *,
    groups: Groups,
    temperature: float,
    seed: int,
    pad_id: int,
    n_threads: int,
) -> EarlyExits | None:
    """Fit exits; None where the encoder is too small for any.

    Args:
        model: Contents of model.onnx without exits.
        training: Rows of chats that the model was trained on.
        scaling: Rows and true column indices of held-out chats that carry no guarantee.
        options: Everything else that decides the fit.
        groups: The columns, and which are banned.
        temperature: What the bundle divides the model's logits by, and then those of the exits too.
        seed: Decides starting weights, order and dropout.
        pad_id: Token id that fills short rows.
        n_threads: Threads of one inference.
    """
    after_layers = options.layers(layers_of(model))
    if not after_layers:
        return None
    # Imported here: seconds that commands which fit nothing must not wait for, and a package that they do not need.
    from training_pipeline.cascade.averaging_network_torch import descend  # noqa: PLC0415

    look = LayerMeans(model, after_layers, pad_id=pad_id, n_threads=n_threads)
    means, logits = look(training)
    targets = softmax(logits)
    rows, labels = scaling
    scaling_means, _ = look(rows)
    heads = []
    for layer, learned, unseen in zip(after_layers, means, scaling_means, strict=True):
        centre, deviation = learned.mean(axis=0), learned.std(axis=0) + _SMALLEST_DEVIATION
        weights = descend((learned - centre) / deviation, targets, seed=seed, options=options.network)
        projection, hidden, hidden_bias, output, output_bias = weights
        # Two linear layers and the normalisation before them are one.
        folded = projection @ hidden / deviation[:, None]
        head = ExitHead(layer, folded, hidden_bias - centre @ folded, output, output_bias)
        scale = temperature * fit_members([head.logits(unseen)], labels)[0]
        heads.append(ExitHead(layer, folded, head.hidden_bias, output * scale, output_bias * scale))
    rule = ExitRule(options.confidence, exit_sides(groups, options.margin), groups.codes, temperature)
    return EarlyExits(heads, rule)


def exit_shares(layers: NDArray[np.int64]) -> dict[str, float]:
    """Return the share of rows that leave, by the layer after which they do.

    Args:
        layers: int64 [n_rows], see `EarlyExits.left_after`.
    """
    left = sorted({int(layer) for layer in layers} - {0})
    return {str(layer): round(float((layers == layer).mean()), 4) for layer in left}
