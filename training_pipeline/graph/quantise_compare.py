"""Measure the quantisation schemes against the float graph and against one another.

Times are ratios of medians over interleaved passes, because a shared machine drifts; sessions are those of serving.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from model.batching import plan_batches
from model.calibration import FloatArray, softmax
from model.inference.session import OnnxSession
from model.tokenization import ConversationTokenizer, TokenIds
from schemas import DEFAULT_BANNED
from training_pipeline.bundle.calibrate import session_logits
from training_pipeline.bundle.export import read_weights
from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.encoder.files import read_encoder_shape
from training_pipeline.graph.onnx_graph import build_graph
from training_pipeline.graph.quantise_candidates import candidates
from training_pipeline.quality.metrics import safety_metrics
from training_pipeline.train.config import read_config

_SPEED_BASE: Final = "per batch"
_REFERENCE: Final = "float"
_SHUFFLED_ROWS: Final = 8
_TIMED_BATCHES: Final = 12


@dataclass(frozen=True)
class Comparison:
    """One scheme. Probabilities are at temperature 1."""

    scheme: str
    n_bytes: int
    load_ms: float
    time_ratio: float
    """Over ONNX Runtime's dynamic quantisation; below 1 is faster."""
    agreement_ratio: float
    """Share of chats with the float graph's category."""
    max_probability_change: float
    """Largest difference from the float graph."""
    mean_probability_change: float
    """Mean over chats of the largest difference from the float graph."""
    max_neighbour_change: float
    """Largest difference of a chat between batches: alike in length, and mixed at random."""
    accuracy: float
    banned_to_safe_rate: float


def compare(
    run: Path, epoch: int, encoder: Path, data: Path, training: Path, *, n_threads: int, n_passes: int, n_chats: int
) -> list[Comparison]:
    """Compare all schemes on one checkpoint.

    Args:
        run: Folder of a training run.
        epoch: Which checkpoint.
        encoder: Folder of the encoder's configuration and tokenizer.
        data: Labelled chats to compare on.
        training: Chats that the static schemes observe.
        n_threads: Inference threads.
        n_passes: Interleaved timing passes.
        n_chats: Chats to compare on, from the start of the file.
    """
    config = read_config(run)
    windowing = config.windowing
    tokenizer = ConversationTokenizer(
        (encoder / "tokenizer.json").read_text(encoding="utf-8"), max_tokens=windowing.max_tokens
    )
    weights, shape = read_weights(run, epoch), read_encoder_shape(encoder, pooling=config.pooling)
    chats = read_labelled_chats([data], windowing, frozenset())
    chats = chats.take(np.arange(min(n_chats, len(chats))))
    observed = read_labelled_chats([training], windowing, frozenset()).encode(tokenizer)[:: _observed_step(training)]
    models = {
        name: build_graph(weights, shape, products).SerializeToString()
        for name, products in candidates(weights, shape, observed[:64]).items()
    }
    sessions, load_s = {}, {}
    for name, content in models.items():
        started = time.perf_counter()
        sessions[name] = OnnxSession(content, n_threads=n_threads, pad_id=tokenizer.pad_id)
        load_s[name] = time.perf_counter() - started
    rows = chats.encode(tokenizer)
    probabilities = {name: softmax(session_logits(session, rows)) for name, session in sessions.items()}
    mixed = {name: softmax(_mixed_logits(session, rows)) for name, session in sessions.items()}
    times = _times(sessions, rows, n_passes)
    return [
        Comparison(
            scheme=name,
            n_bytes=len(models[name]),
            load_ms=round(load_s[name] * 1000, 1),
            time_ratio=round(float(np.median(times[name] / times[_SPEED_BASE])), 3),
            **_changes(probabilities[name], probabilities[_REFERENCE], mixed[name]),
            **_quality(chats.labels, probabilities[name]),
        )
        for name in models
    ]


def _observed_step(path: Path) -> int:
    """Spread the observed chats over the file."""
    with path.open("rb") as lines:
        return max(1, sum(1 for _ in lines) // 64)


def _mixed_logits(session: OnnxSession, rows: Sequence[TokenIds]) -> FloatArray:
    """Return logits with each row among random neighbours of other lengths."""
    order = np.random.default_rng(1).permutation(len(rows))
    logits = np.empty((len(rows), 13), dtype=np.float32)
    for start in range(0, len(order), _SHUFFLED_ROWS):
        index = order[start : start + _SHUFFLED_ROWS]
        logits[index] = session.logits([rows[i] for i in index])
    return logits


def _times(
    sessions: Mapping[str, OnnxSession], rows: Sequence[TokenIds], n_passes: int
) -> dict[str, NDArray[np.float64]]:
    """Return seconds per pass over some batches, schemes interleaved batch by batch, after one unmeasured pass."""
    planned = plan_batches([len(row) for row in rows], max_padded_tokens=1024, max_rows=64)
    chosen = planned[:: max(1, len(planned) // _TIMED_BATCHES)]
    batches = [[rows[i] for i in batch] for batch in chosen]
    passes = np.zeros((n_passes + 1, len(sessions)))
    for one_pass in passes:
        for batch in batches:
            for column, session in enumerate(sessions.values()):
                started = time.perf_counter()
                session.logits(batch)
                one_pass[column] += time.perf_counter() - started
    return {name: passes[1:, column] for column, name in enumerate(sessions)}


def _changes(found: FloatArray, reference: FloatArray, mixed: FloatArray) -> dict[str, float]:
    change = np.abs(found - reference).max(axis=1)
    return {
        "agreement_ratio": round(float((found.argmax(axis=1) == reference.argmax(axis=1)).mean()), 4),
        "max_probability_change": round(float(change.max()), 4),
        "mean_probability_change": round(float(change.mean()), 5),
        "max_neighbour_change": float(f"{np.abs(found - mixed).max():.1e}"),
    }


def _quality(labels: NDArray[np.int64], probabilities: FloatArray) -> dict[str, float]:
    metrics = safety_metrics(labels, probabilities.argmax(axis=1), DEFAULT_BANNED)
    return {"accuracy": round(metrics.accuracy, 4), "banned_to_safe_rate": round(metrics.banned_to_safe_rate, 4)}


def print_comparison(rows: Sequence[Comparison], console: Console) -> None:
    """Print the table for people."""
    names = list(asdict(rows[0]))
    table = Table(*names, title=f"Quantisation schemes, load average {os.getloadavg()[0]:.1f}")
    for row in rows:
        table.add_row(*(str(value) for value in asdict(row).values()))
    console.print(table)
