"""The figures of a bundle's manifest, measured through the classes that serve it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.bundle.bundle import load_bundle
from model.bundle.files import sha256_of
from model.classifier import Classifier
from model.figures.lengths import length_counts
from schemas import longest_user_message
from training_pipeline.bundle.calibrate import Calibration
from training_pipeline.cascade.early_exit_account import early_exit_account
from training_pipeline.cascade.early_exit_fit import EarlyExits
from training_pipeline.cascade.first_stage_account import first_stage_account
from training_pipeline.chats.labelled_chats import LabelledChats, read_labelled_chats
from training_pipeline.probes.measure import measure_folder
from training_pipeline.quality.evaluate import evaluate


def bundle_figures(
    folder: Path,
    evaluation: Sequence[Path],
    *,
    n_threads: int,
    plain: bytes,
    exits: EarlyExits | None,
    probes: Path | None = None,
) -> dict[str, Any]:
    """Return figures by data set, and what decides the exits, ready for JSON.

    Args:
        folder: The bundle.
        evaluation: Labelled chats that training never saw.
        n_threads: Inference threads.
        plain: Contents of model.onnx without exits.
        exits: Those that the bundle's model has.
        probes: Folder of probes; None leaves them out.
    """
    bundle = load_bundle(folder)
    classifier = Classifier(bundle, bundle.default_policy, n_threads=n_threads)
    metrics: dict[str, Any] = {}
    for path in evaluation:
        chats = read_labelled_chats([path], bundle.manifest.windowing, frozenset(), bundle.taxonomy)
        agreed = chats.take(np.flatnonzero(chats.agreed))
        found = {"digest": sha256_of(path.read_bytes()), **evaluate(classifier, chats)}
        if classifier.bundle.first_stage is not None:
            found["first_stage"] = first_stage_account(classifier, agreed, n_threads=n_threads)
        if exits is not None:
            found["early_exits"] = early_exit_account(classifier, plain, exits, agreed, n_threads=n_threads)
        metrics[path.stem] = found
    if probes is not None:
        metrics["probes"] = measure_folder(classifier, probes).short()
        # The machine's, and so no part of a bundle that the same run makes again.
        del metrics["probes"]["seconds"]
    if exits is not None:
        metrics["early_exits"] = _rule(exits)
    return metrics


def calibration_figures(calibration: Calibration, held_out: LabelledChats) -> dict[str, Any]:
    """Return what the manifest says of a calibration and of its chats, ready for JSON.

    Args:
        calibration: Of the bundle.
        held_out: The chats that training never saw, all of them.
    """
    return {**calibration.summary(), "longest_message": longest_messages(held_out)}


def longest_messages(chats: LabelledChats) -> dict[str, int]:
    """Return how many chats have their longest user message in each bucket of lengths."""
    return length_counts(map(longest_user_message, chats.conversations))


def _rule(exits: EarlyExits) -> dict[str, Any]:
    """Return what the manifest says of the exits themselves."""
    return {
        "after_layers": [head.after_layer for head in exits.heads],
        "confidence": exits.rule.confidence,
        "sides": exits.rule.sides and exits.rule.sides.model_dump(),
        "temperature": exits.rule.temperature,
    }
