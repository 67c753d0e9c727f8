"""Compare the head of `describe` with what is simpler: cosine similarity, and a ridge regression on examples alone.

Each figure is an accuracy on texts that are not among the examples. A set's own texts are kept out of the usual shift
between texts and descriptions, by which the shipped encoder's differs a little.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from model.calibration import FloatArray
from model.described.embedding import Embedder
from model.described.fit import Examples, fit_head
from model.described.frozen_encoder import shipped_encoder
from training_pipeline.describe.sets import OTHER_WORDS, DescribedSet, EmbeddedSet, embedded, shift_of

METHODS: Final = ("cosine", "described", "described, examples of one class", "ridge", "described, examples")

_PENALTY: Final = 1.0
_DECIMALS: Final = 4


def compare(sets: Sequence[DescribedSet], *, n_examples: int, n_draws: int, n_threads: int) -> list[dict[str, Any]]:
    """Return accuracies by set and method, 0..1, the mean of all sets last.

    Args:
        sets: At least two of different texts.
        n_examples: Of each class, at most half of its texts.
        n_draws: Draws of the examples.
        n_threads: Inference threads.
    """
    embedder = Embedder(shipped_encoder(), n_threads=n_threads)
    all_embedded = [embedded(one, embedder) for one in sets]
    rows: list[dict[str, Any]] = [
        {"set": one.name, "n_classes": len(one.prototypes), "n_texts": len(one.texts)}
        | _accuracies(one, _shift_of_others(one, all_embedded), n_examples=n_examples, n_draws=n_draws)
        for one in all_embedded
    ]
    means = {method: round(float(np.mean([row[method] for row in rows])), _DECIMALS) for method in METHODS}
    totals = {name: sum(row[name] for row in rows) for name in ("n_classes", "n_texts")}
    return [*rows, {"set": "mean of sets"} | totals | means]


def print_comparison(rows: Sequence[dict[str, Any]], console: Console) -> None:
    """Print the accuracies as a table."""
    table = Table(title="accuracy")
    for name in ("set", "classes", "texts", *METHODS):
        table.add_column(name, justify="left" if name == "set" else "right")
    for row in rows:
        table.add_row(row["set"], str(row["n_classes"]), str(row["n_texts"]), *(f"{row[m]:.3f}" for m in METHODS))
    console.print(table)


def _shift_of_others(one: EmbeddedSet, sets: Sequence[EmbeddedSet]) -> FloatArray:
    own = one.name.removesuffix(OTHER_WORDS)
    others = [shift_of(other) for other in sets if other.name.removesuffix(OTHER_WORDS) != own]
    if not others:
        raise ValueError(f"{own}: no set of other texts; expected at least two; name a folder with more")
    shift: FloatArray = np.mean(others, axis=0, dtype=np.float32)
    return shift


def _accuracies(one: EmbeddedSet, shift: FloatArray, *, n_examples: int, n_draws: int) -> dict[str, float]:
    found: dict[str, list[float]] = {method: [] for method in METHODS}
    for draw in range(n_draws):
        rng = np.random.default_rng(draw)
        chosen = _chosen(one.classes, n_examples, rng)
        left = np.setdiff1d(np.arange(len(one.classes)), chosen)
        of_one = chosen[one.classes[chosen] == draw % len(one.prototypes)]
        scores = {
            "cosine": one.texts @ one.descriptions.T,
            "described": _described(one, chosen[:0], shift),
            "described, examples of one class": _described(one, of_one, shift),
            "ridge": _ridge(one, chosen),
            "described, examples": _described(one, chosen, shift),
        }
        for method, of_method in scores.items():
            found[method].append(float((of_method[left].argmax(axis=1) == one.classes[left]).mean()))
    return {method: round(float(np.mean(values)), _DECIMALS) for method, values in found.items()}


def _chosen(classes: NDArray[np.int64], n_examples: int, rng: np.random.Generator) -> NDArray[np.int64]:
    of_class = [rng.permutation(np.flatnonzero(classes == i)) for i in range(int(classes.max()) + 1)]
    return np.concatenate([rows[: min(n_examples, len(rows) // 2)] for rows in of_class])


def _described(one: EmbeddedSet, chosen: NDArray[np.int64], shift: FloatArray) -> FloatArray:
    return fit_head(one.prototypes, Examples(one.texts[chosen], one.classes[chosen], shift)).logits(one.texts)


def _ridge(one: EmbeddedSet, chosen: NDArray[np.int64]) -> FloatArray:
    """Return the scores of a ridge regression onto the classes from the examples alone."""
    rows, targets = one.texts[chosen], np.eye(len(one.prototypes), dtype=np.float32)[one.classes[chosen]]
    centred = rows - rows.mean(axis=0)
    inner = centred @ centred.T + _PENALTY * np.eye(len(rows), dtype=np.float32)
    weights = centred.T @ np.linalg.solve(inner, targets - targets.mean(axis=0))
    scores: FloatArray = (one.texts - rows.mean(axis=0)) @ weights + targets.mean(axis=0)
    return scores
