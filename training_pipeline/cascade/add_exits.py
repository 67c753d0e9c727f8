"""Give the transformer of a finished bundle exits between its layers, and calibrate the bundle anew.

`export` does the same from a run; this needs the bundle and the run's chats only. Whoever names other chats, or another
seed, would calibrate on chats that trained the model: so what the bundle's own calibration.json says of its chats must
come out again first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.bundle.bundle import load_bundle
from model.bundle.manifest import CALIBRATION_NAME, MODEL_NAME, TOKENIZER_NAME
from model.tokenization import ConversationTokenizer
from training_pipeline.bundle.figures import bundle_figures, calibration_figures
from training_pipeline.bundle.finished import (
    blend_weight_of,
    calibrated_fields,
    check_calibration,
    kept_fields,
    run_chats,
)
from training_pipeline.bundle.scaling_fit import ScalingKind
from training_pipeline.bundle.served_model import PlainModel, Serving, served_model
from training_pipeline.bundle.writer import first_stage_files, write_bundle
from training_pipeline.cascade.early_exit_fit import EarlyExitOptions
from training_pipeline.chats.held_out import HeldOut
from training_pipeline.train.config import TrainConfig


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
    training, held_out = run_chats(bundle, request.data, request.config)
    unseen = HeldOut.of(
        held_out, tokenizer, bundle.default_policy, bundle.first_stage, blend_weight=blend_weight_of(bundle)
    )
    logits = unseen.logits(bundle.model, pad_id=tokenizer.pad_id, n_threads=request.n_threads)
    plain = PlainModel(bundle.model, logits, unseen.calibrated(logits, seed=request.config.seed, kind=request.scaling))
    check_calibration(bundle, plain.calibration.probabilities, request.bundle)
    serving = Serving(request.config.seed, request.scaling, tokenizer.pad_id, request.n_threads)
    served = served_model(plain, training.encode(tokenizer), unseen, request.options, serving)
    if served.exits is None:
        raise ValueError(f"{request.bundle}: its encoder is too small for an exit; expected at least two layers")
    calibration = served.calibration
    contents = {TOKENIZER_NAME: bundle.tokenizer_json.encode()}
    contents |= first_stage_files(bundle.first_stage)
    contents |= {MODEL_NAME: served.model, CALIBRATION_NAME: calibration.to_json()}
    fields = kept_fields(bundle, request.version, **calibrated_fields(calibration, manifest.first_stage))

    def measure(staging: Path) -> dict[str, Any]:
        metrics = bundle_figures(
            staging, request.evaluation, n_threads=request.n_threads, plain=bundle.model, exits=served.exits
        )
        metrics["calibration"] = calibration_figures(calibration, held_out)
        if "parity" in manifest.metrics:
            # Of INT8 against float; the exits have an account of their own.
            metrics["parity"] = manifest.metrics["parity"]
        return metrics

    return write_bundle(request.out, contents, fields, calibration, measure)
