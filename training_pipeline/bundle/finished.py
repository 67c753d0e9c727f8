"""What the commands share that make a bundle out of a finished one, without its run.

Whoever names other chats, or another seed, would calibrate on chats that trained the model: so what the bundle's own
calibration.json says of its chats must come out again first.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from model.bundle.bundle import Bundle
from model.bundle.manifest import CALIBRATION_NAME
from model.calibration import FloatArray
from training_pipeline.bundle.calibrate import Calibration
from training_pipeline.chats.labelled_chats import LabelledChats, read_labelled_chats
from training_pipeline.chats.split import split_chats
from training_pipeline.chats.usable import usable_chats
from training_pipeline.train.config import TrainConfig

_TOLERANCE: Final = 1e-3
"""Of a probability: what is stored is rounded, and processors differ in the last bits."""


def run_chats(bundle: Bundle, data: Sequence[Path], config: TrainConfig) -> tuple[LabelledChats, LabelledChats]:
    """Return the chats that a bundle's run learned from, and those that it held out.

    Args:
        bundle: The bundle.
        data: The chats of its run, in order.
        config: Of its run.
    """
    chats = usable_chats(read_labelled_chats(data, bundle.manifest.windowing, frozenset(), bundle.taxonomy))
    training, held_out = split_chats(chats, config)
    return chats.take(training), chats.take(held_out)


def check_calibration(bundle: Bundle, found: FloatArray, path: Path) -> None:
    """Refuse chats, or a seed, that give another calibration than the bundle has.

    Args:
        bundle: The bundle.
        found: float32 [n_chats, n_categories], its probabilities of the chats that would carry the guarantee.
        path: Where the bundle is.
    """
    expected = len(bundle.calibration_labels)
    if len(found) != expected:
        raise ValueError(
            f"{len(found)} held-out chats would carry the guarantee; {path} has {expected}; expected the files "
            "of its run, in their order, with its --seed, --split-seed and --calibration-ratio"
        )
    differs = np.abs(found - bundle.calibration_probabilities).max(axis=1) > _TOLERANCE
    if differs.any():
        raise ValueError(
            f"{differs.sum()} of {expected} held-out chats get other probabilities than {CALIBRATION_NAME} of {path} "
            "says; expected the chats that it was calibrated on: the files of its run, in their order, with its "
            "--seed, --split-seed and --calibration-ratio"
        )


def blend_weight_of(bundle: Bundle) -> float | None:
    """Return the weight that the bundle was exported with, given or fitted; None without a first stage."""
    return None if bundle.manifest.first_stage is None else bundle.manifest.first_stage.blend_weight


def kept_fields(bundle: Bundle, version: str, **changed: Any) -> dict[str, Any]:
    """Return the fields of a new manifest: the bundle's, but for those that changed."""
    manifest = bundle.manifest
    return {
        "name": manifest.name,
        "version": version,
        "taxonomy": bundle.taxonomy,
        "policy": bundle.default_policy,
        "windowing": manifest.windowing,
        "temperature": manifest.temperature,
        "class_groups": manifest.class_groups,
        "first_stage": manifest.first_stage,
        "training_data": manifest.training_data,
    } | changed


def calibrated_fields(calibration: Calibration, first_stage: Any) -> dict[str, Any]:
    """Return the fields that a new calibration changes.

    Args:
        calibration: The new one.
        first_stage: The fields of the first stage; None without one.
    """
    return {
        "temperature": calibration.temperature,
        "class_groups": calibration.class_groups,
        "first_stage": first_stage and first_stage.model_copy(update={"blend_weight": calibration.blend_weight}),
    }
