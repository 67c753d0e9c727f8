"""Measure teachers and students on both axes: quality, and CPU time per chat through the serving classes.

CPU time is that of the process over all its threads. Bundles are timed in turn, pass by pass, because a shared machine
drifts; the median over passes is reported.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from model import Classifier, load_bundle, load_policy
from schemas import Decision, Turn
from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.quality.evaluate import evaluate

_CHUNK_CHATS: Final = 64
_FIGURES: Final = (
    "n_chats",
    "accuracy",
    "macro_f1",
    "banned_to_safe_rate",
    "safe_to_banned_rate",
    "banned_to_safe_rate_at_safe_to_banned_0.029",
    "banned_to_safe_rate_at_safe_to_banned_0.044",
    "expected_calibration_error",
)


def distil_report(
    bundles: Sequence[Path], data: Sequence[Path], *, n_threads: int, n_passes: int, policy: Path | None = None
) -> list[dict[str, Any]]:
    """Return one row of figures per bundle; those of the agreed chats.

    Args:
        bundles: Folders; the first one is what the others' time is compared with.
        data: Labelled chats that none of them was trained on.
        n_threads: Inference threads.
        n_passes: Timed passes over the chats, after a warm-up.
        policy: Policy file; None takes each bundle's default policy.
    """
    loaded = [load_bundle(path) for path in bundles]
    classifiers = [Classifier(one, load_policy(policy, one), n_threads=n_threads) for one in loaded]
    quality, conversations = [], []
    for classifier in classifiers:
        chats = read_labelled_chats(data, classifier.bundle.manifest.windowing, frozenset(), classifier.bundle.taxonomy)
        conversations.append(chats.conversations)
        quality.append(evaluate(classifier, chats)["agreed"])
    cpu_s, wall_s = _times(classifiers, conversations, n_passes)
    rows = []
    for i, (path, classifier) in enumerate(zip(bundles, classifiers, strict=True)):
        n_chats = len(conversations[i])
        rows.append(
            {
                "bundle": f"{path.name}: {classifier.bundle.ref.name} {classifier.bundle.ref.version}",
                "digest": classifier.bundle.digest[:19],
                "n_bytes": len(classifier.bundle.model) + len(classifier.bundle.tokenizer_json.encode()),
                "cpu_ms_per_chat": round(float(np.median(cpu_s[:, i])) / n_chats * 1000, 3),
                "wall_ms_per_chat": round(float(np.median(wall_s[:, i])) / n_chats * 1000, 3),
                "cpu_ratio_to_first": round(float(np.median(cpu_s[:, i] / cpu_s[:, 0])), 3),
                **{name: quality[i].get(name) for name in _FIGURES},
                "banned_allowed": quality[i].get("decisions_banned", {}).get(Decision.ALLOW),
                "safe_allowed": quality[i].get("decisions_safe", {}).get(Decision.ALLOW),
            }
        )
    return rows


def _times(
    classifiers: Sequence[Classifier], conversations: Sequence[Sequence[list[Turn]]], n_passes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return seconds of CPU and of the wall, each [n_passes, n_bundles]."""
    cpu_s, wall_s = (np.zeros((n_passes, len(classifiers))) for _ in range(2))
    for classifier in classifiers:
        classifier.warm_up()
    for one_pass in range(n_passes):
        for i, classifier in enumerate(classifiers):
            cpu, wall = time.process_time(), time.perf_counter()
            for start in range(0, len(conversations[i]), _CHUNK_CHATS):
                classifier.classify(conversations[i][start : start + _CHUNK_CHATS])
            cpu_s[one_pass, i], wall_s[one_pass, i] = time.process_time() - cpu, time.perf_counter() - wall
    return cpu_s, wall_s


def print_distil_report(rows: Sequence[dict[str, Any]], console: Console) -> None:
    """Print the table for people, figures down and bundles across."""
    table = Table("figure", *(row["bundle"] for row in rows), title="Teachers and students")
    for name in rows[0]:
        if name != "bundle":
            table.add_row(name, *(str(row[name]) for row in rows))
    console.print(table)
