"""Does what is served answer what was trained? torch, the float graph and the INT8 graph on the same chats.

The float graph must equal torch up to rounding: it is the same network, written down another way. INT8 may cost a
little; how much is checked against a limit, and what it costs on the safety pair is shown.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from model.calibration import FloatArray, LogitScaling
from model.inference.session import OnnxSession
from model.tokenization import TokenIds
from training_pipeline.bundle.calibrate import session_logits
from training_pipeline.encoder.files import read_encoder_shape
from training_pipeline.graph.onnx_graph import FloatMatrix, FloatProducts, build_graph
from training_pipeline.quality.evaluate import OPERATING_POINTS
from training_pipeline.quality.metrics import Columns, banned_to_safe_at, rounded, safety_metrics

MAX_ACCURACY_LOSS: Final = 0.003
"""Accuracy that INT8 may lose against the float graph, 0..1."""

MAX_FLOAT_CHANGE: Final = 0.001
"""Largest change of a probability between torch and the float graph that counts as rounding."""

_TORCH: Final = "torch"
_FLOAT: Final = "onnx float"
_INT8: Final = "onnx int8"
_DECIMALS: Final = 4


@dataclass(frozen=True)
class RuntimeFigures:
    """One runtime on the chats. Ratios and rates 0..1; changes are against torch, largest over the categories."""

    runtime: str
    agreement_ratio: float
    max_probability_change: float
    mean_probability_change: float
    accuracy: float
    banned_to_safe_rate: float | None
    safe_to_banned_rate: float | None
    banned_to_safe_rates_at: dict[str, float | None]
    """By safe->banned rate; this and the two rates are None where nothing is banned."""


@dataclass(frozen=True)
class ParityReport:
    """All runtimes on the same chats."""

    n_chats: int
    runtimes: tuple[RuntimeFigures, RuntimeFigures, RuntimeFigures]
    """torch, float graph, INT8 graph."""

    @property
    def int8_accuracy_loss(self) -> float:
        """Accuracy of the float graph less that of INT8; negative where INT8 is better."""
        return round(self.runtimes[1].accuracy - self.runtimes[2].accuracy, _DECIMALS)

    @property
    def int8_is_within_limit(self) -> bool:
        """Whether INT8 loses at most `MAX_ACCURACY_LOSS`."""
        return self.int8_accuracy_loss <= MAX_ACCURACY_LOSS

    @property
    def float_equals_torch(self) -> bool:
        """Whether the float graph is the network that was trained."""
        return self.runtimes[1].max_probability_change <= MAX_FLOAT_CHANGE

    def as_dict(self) -> dict[str, Any]:
        """Return the report for the manifest."""
        return {
            "n_chats": self.n_chats,
            "int8_accuracy_loss": self.int8_accuracy_loss,
            "int8_accuracy_loss_limit": MAX_ACCURACY_LOSS,
            "int8_is_within_limit": self.int8_is_within_limit,
            "float_equals_torch": self.float_equals_torch,
            "runtimes": [asdict(figures) for figures in self.runtimes],
        }


def parity_report(
    labels: NDArray[np.int64],
    logits: Mapping[str, FloatArray],
    scaling: LogitScaling,
    banned: Columns,
) -> ParityReport:
    """Compare the runtimes' logits, as `runtime_logits` returns them, under the scaling that is served.

    Args:
        labels: True column of each chat, int64 [n_chats].
        logits: By runtime, float32 [n_chats, n_categories] each.
        scaling: Makes probabilities of them.
        banned: bool [n_categories], the banned columns.
    """
    probabilities = [scaling.probabilities(logits[name]) for name in (_TORCH, _FLOAT, _INT8)]
    figures = [
        _figures(name, found, probabilities[0], labels, banned)
        for name, found in zip((_TORCH, _FLOAT, _INT8), probabilities, strict=True)
    ]
    return ParityReport(len(labels), (figures[0], figures[1], figures[2]))


def runtime_logits(
    rows: list[TokenIds],
    *,
    checkpoint: Path,
    weights: Mapping[str, FloatMatrix],
    encoder: Path,
    pooling: str,
    int8: bytes,
    pad_id: int,
    n_threads: int,
) -> dict[str, FloatArray]:
    """Return the logits of each runtime, float32 [n_rows, n_categories].

    Args:
        rows: Token rows.
        checkpoint: Weights that `train` wrote, for torch.
        weights: The same as arrays, for the graph.
        encoder: Folder of the encoder's configuration.
        pooling: `mean` or `cls`, as in training.
        int8: Contents of the bundle's model.onnx.
        pad_id: The tokenizer's.
        n_threads: Inference threads.
    """
    import torch  # noqa: PLC0415  (seconds of import that the rest of export does not need)

    from training_pipeline.encoder.classifier import EncoderClassifier  # noqa: PLC0415
    from training_pipeline.train.train import predict_logits  # noqa: PLC0415

    torch.set_num_threads(n_threads)
    network = EncoderClassifier.from_checkpoint(encoder, checkpoint, pooling=pooling)
    shape = read_encoder_shape(encoder, pooling=pooling)
    in_float = build_graph(weights, shape, FloatProducts()).SerializeToString()
    sessions = {
        name: OnnxSession(model, n_threads=n_threads, pad_id=pad_id, n_categories=network.head.out_features)
        for name, model in ((_FLOAT, in_float), (_INT8, int8))
    }
    found = {name: session_logits(session, rows) for name, session in sessions.items()}
    return {_TORCH: predict_logits(network, rows, pad_id), **found}


def _figures(
    runtime: str, found: FloatArray, reference: FloatArray, labels: NDArray[np.int64], banned: Columns
) -> RuntimeFigures:
    change = np.abs(found - reference).max(axis=1)
    metrics = safety_metrics(labels, found.argmax(axis=1), banned)
    return RuntimeFigures(
        runtime=runtime,
        agreement_ratio=round(float((found.argmax(axis=1) == reference.argmax(axis=1)).mean()), _DECIMALS),
        max_probability_change=round(float(change.max()), _DECIMALS),
        mean_probability_change=round(float(change.mean()), _DECIMALS),
        accuracy=round(metrics.accuracy, _DECIMALS),
        banned_to_safe_rate=rounded(metrics.banned_to_safe_rate, _DECIMALS),
        safe_to_banned_rate=rounded(metrics.safe_to_banned_rate, _DECIMALS),
        banned_to_safe_rates_at={
            str(rate): rounded(banned_to_safe_at(labels, found, banned, safe_to_banned_rate=rate), _DECIMALS)
            for rate in OPERATING_POINTS
        },
    )


def print_parity(report: Mapping[str, Any], console: Console) -> None:
    """Print the table and the checked lines of a report, as it stands in the manifest."""
    table = Table(title=f"torch, float graph and INT8 on {report['n_chats']} chats (changes against torch)")
    columns = [
        "runtime",
        "same category",
        "max |dp|",
        "mean |dp|",
        "accuracy",
        "banned->safe",
        "safe->banned",
        *(f"banned->safe at {float(rate):.1%}" for rate in report["runtimes"][0]["banned_to_safe_rates_at"]),
    ]
    for name in columns:
        table.add_column(name, justify="left" if name == "runtime" else "right")
    for figures in report["runtimes"]:
        single = [value for value in figures.values() if not isinstance(value, dict)]
        cells = [*single, *figures["banned_to_safe_rates_at"].values()]
        table.add_row(*("\u2013" if cell is None else str(cell) for cell in cells))
    console.print(table)
    loss, limit = 100 * report["int8_accuracy_loss"], 100 * report["int8_accuracy_loss_limit"]
    verdict = "ok" if report["int8_is_within_limit"] else "FAILS"
    console.print(f"INT8 within {limit:.1f} points of float: {verdict} (loses {loss:.2f} points of accuracy)")
    verdict = "ok" if report["float_equals_torch"] else "FAILS"
    console.print(f"float graph equals torch: {verdict}")
