"""Give the transformer of a finished bundle exits between its layers, and calibrate the bundle anew.

`export` does the same from a run; this needs the bundle and the run's chats only. Whoever names other chats, or another
seed, would calibrate on chats that trained the model: so what the bundle's own calibration.json says of its chats must
come out again first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from model.bundle.bundle import Bundle, load_bundle
from model.bundle.manifest import CALIBRATION_NAME, MODEL_NAME, TOKENIZER_NAME
from model.calibration import FloatArray
from model.tokenization import ConversationTokenizer
from training_pipeline.bundle.figures import bundle_figures
from training_pipeline.bundle.scaling_fit import ScalingKind
from training_pipeline.bundle.served_model import PlainModel, Serving, served_model
from training_pipeline.bundle.writer import first_stage_files, write_bundle
from training_pipeline.cascade.early_exit_fit import EarlyExitOptions
from training_pipeline.chats.held_out import HeldOut
from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.chats.split import split_chats
from training_pipeline.chats.usable import usable_chats
from training_pipeline.train.config import TrainConfig

_TOLERANCE: Final = 1e-3
"""Of a probability: what is stored is rounded, and processors differ in the last bits."""


@dataclass(frozen=True)
class AddExitsRequest:
    """Which bundle gets exits, and what it was made from."""

    bundle: Path
    data: Sequence[Path]
    """The chats of its run, in order."""
    config: TrainConfig
    """Of its run: the seeds and the share of held-out chats decide which chats those are."""
    out: Path
    version: str
    evaluation: Sequence[Path] = ()
    """Labelled chats that training never saw."""
    options: EarlyExitOptions = field(default_factory=EarlyExitOptions)
    scaling: ScalingKind = ScalingKind.AUTO
    """As the bundle was exported."""
    n_threads: int = 1


def add_exits(request: AddExitsRequest) -> dict[str, Any]:
    """Write the bundle with exits and return its metrics.

    Raises:
        ValueError: the bundle has exits, is too small for any, or was calibrated on other chats.
        model.errors.BundleError: a bundle does not load in the serving classes.
    """
    bundle = load_bundle(request.bundle)
    manifest = bundle.manifest
    if manifest.evidence is not None:
        raise ValueError(f"{request.bundle}: has pieces; expected a bundle without; give it exits first, then pieces")
    if "early_exits" in manifest.metrics:
        raise ValueError(f"{request.bundle}: has exits already; expected a bundle without; export it again instead")
    tokenizer = ConversationTokenizer(bundle.tokenizer_json, max_tokens=manifest.windowing.max_tokens)
    chats = usable_chats(read_labelled_chats(request.data, manifest.windowing, frozenset(), bundle.taxonomy))
    training, held_out = split_chats(chats, request.config)
    unseen = HeldOut.of(
        chats.take(held_out), tokenizer, bundle.default_policy, bundle.first_stage, blend_weight=_blend(bundle)
    )
    logits = unseen.logits(bundle.model, pad_id=tokenizer.pad_id, n_threads=request.n_threads)
    plain = PlainModel(bundle.model, logits, unseen.calibrated(logits, seed=request.config.seed, kind=request.scaling))
    check_calibration(bundle, plain.calibration.probabilities, request.bundle)
    serving = Serving(request.config.seed, request.scaling, tokenizer.pad_id, request.n_threads)
    served = served_model(plain, chats.take(training).encode(tokenizer), unseen, request.options, serving)
    if served.exits is None:
        raise ValueError(f"{request.bundle}: its encoder is too small for an exit; expected at least two layers")
    calibration = served.calibration
    contents = {TOKENIZER_NAME: bundle.tokenizer_json.encode()}
    contents |= first_stage_files(bundle.first_stage)
    contents |= {MODEL_NAME: served.model, CALIBRATION_NAME: calibration.to_json()}
    first = manifest.first_stage
    fields: dict[str, Any] = {
        "name": manifest.name,
        "version": request.version,
        "taxonomy": bundle.taxonomy,
        "policy": bundle.default_policy,
        "windowing": manifest.windowing,
        "temperature": calibration.temperature,
        "class_groups": calibration.class_groups,
        "first_stage": first and first.model_copy(update={"blend_weight": calibration.blend_weight}),
        "training_data": manifest.training_data,
    }

    def measure(staging: Path) -> dict[str, Any]:
        metrics = bundle_figures(
            staging, request.evaluation, n_threads=request.n_threads, plain=bundle.model, exits=served.exits
        )
        metrics["calibration"] = calibration.summary()
        if "parity" in manifest.metrics:
            # Of INT8 against float; the exits have an account of their own.
            metrics["parity"] = manifest.metrics["parity"]
        return metrics

    return write_bundle(request.out, contents, fields, calibration, measure)


def _blend(bundle: Bundle) -> float | None:
    """Return the weight that the bundle was exported with: it was given, or the fit gives it again."""
    return None if bundle.manifest.first_stage is None else bundle.manifest.first_stage.blend_weight


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
