"""Change how often the early answers of a finished bundle count, and calibrate it anew.

First stage and exits are fitted to be cheap; what they may answer alone is a choice between quality and CPU that needs
no training: the weight of the first stage's logits, and from which confidence it, or an exit, answers alone. As with
`add-exits`, the bundle's own calibration must come out again first, so that the chats are those that it never saw.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from model.bundle.bundle import load_bundle
from model.bundle.manifest import CALIBRATION_NAME, MODEL_NAME, TOKENIZER_NAME
from model.cascade.first_stage import FirstStage
from model.tokenization import ConversationTokenizer
from training_pipeline.bundle.figures import bundle_figures
from training_pipeline.bundle.scaling_fit import ScalingKind
from training_pipeline.bundle.writer import first_stage_files, write_bundle
from training_pipeline.cascade.add_exits import check_calibration
from training_pipeline.cascade.early_exit_graph import with_confidence, without_leaving
from training_pipeline.chats.held_out import HeldOut
from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.chats.split import split_chats
from training_pipeline.chats.usable import usable_chats
from training_pipeline.train.config import TrainConfig


@dataclass(frozen=True)
class Early:
    """How often early answers count; None leaves a part as it is."""

    blend_weight: float | None = None
    """Of the first stage's logits beside the transformer's."""
    first_stage_from: float | None = None
    """Confidence from which the first stage answers alone; above 1 it never does."""
    exit_confidence: float | None = None
    """Confidence from which a row leaves the transformer early; above 1 none does."""


@dataclass(frozen=True)
class RetuneRequest:
    """Which bundle is changed, how, and what it was made from."""

    bundle: Path
    data: Sequence[Path]
    """The chats of its run, in order."""
    config: TrainConfig
    """Of its run: the seeds and the share of held-out chats decide which chats those are."""
    out: Path
    version: str
    early: Early
    evaluation: Sequence[Path] = ()
    """Labelled chats that training never saw."""
    scaling: ScalingKind = ScalingKind.AUTO
    n_threads: int = 1


def retune(request: RetuneRequest) -> dict[str, Any]:
    """Write the changed bundle and return its metrics.

    Raises:
        ValueError: the bundle has pieces, lacks the part that is to change, or was calibrated on other chats.
        model.errors.BundleError: a bundle does not load in the serving classes.
    """
    bundle, early = load_bundle(request.bundle), request.early
    manifest, metrics = bundle.manifest, dict(bundle.manifest.metrics)
    if manifest.evidence is not None:
        raise ValueError(f"{request.bundle}: has pieces; expected a bundle without; change it first, then add pieces")
    _check_parts(request, has_first_stage=bundle.first_stage is not None, has_exits="early_exits" in metrics)
    tokenizer = ConversationTokenizer(bundle.tokenizer_json, max_tokens=manifest.windowing.max_tokens)
    chats = usable_chats(read_labelled_chats(request.data, manifest.windowing, frozenset(), bundle.taxonomy))
    _, held_out = split_chats(chats, request.config)
    kept = chats.take(held_out)
    policy, seed, pad_id = bundle.default_policy, request.config.seed, tokenizer.pad_id

    def logits_of(model: bytes) -> Any:
        return before.logits(model, pad_id=pad_id, n_threads=request.n_threads)

    before = HeldOut.of(kept, tokenizer, policy, bundle.first_stage, blend_weight=_blend(manifest.first_stage))
    plain, served = logits_of(without_leaving(bundle.model)), logits_of(bundle.model)
    known = before.calibrated(plain, seed=seed, kind=request.scaling, served=served)
    check_calibration(bundle, known.probabilities, request.bundle)

    first_stage = _changed(bundle.first_stage, early.first_stage_from)
    weight = _blend(manifest.first_stage) if early.blend_weight is None else early.blend_weight
    after = HeldOut.of(kept, tokenizer, policy, first_stage, blend_weight=weight)
    model = bundle.model
    if early.exit_confidence is not None:
        model = with_confidence(bundle.model, early.exit_confidence)
        metrics["early_exits"] = {**metrics["early_exits"], "confidence": early.exit_confidence}
        served = logits_of(model)
    calibration = after.calibrated(plain, seed=seed, kind=request.scaling, served=served)
    fields: dict[str, Any] = {
        "name": manifest.name,
        "version": request.version,
        "taxonomy": bundle.taxonomy,
        "policy": policy,
        "windowing": manifest.windowing,
        "temperature": calibration.temperature,
        "class_groups": calibration.class_groups,
        "first_stage": first_stage and first_stage.fields.model_copy(update={"blend_weight": calibration.blend_weight}),
        "training_data": manifest.training_data,
    }
    contents = {MODEL_NAME: model, TOKENIZER_NAME: bundle.tokenizer_json.encode()}
    contents |= first_stage_files(first_stage) | {CALIBRATION_NAME: calibration.to_json()}

    def measure(staging: Path) -> dict[str, Any]:
        found = bundle_figures(staging, request.evaluation, n_threads=request.n_threads, plain=model, exits=None)
        found["calibration"] = calibration.summary()
        return {**{name: metrics[name] for name in ("parity", "early_exits") if name in metrics}, **found}

    return write_bundle(request.out, contents, fields, calibration, measure)


def _check_parts(request: RetuneRequest, *, has_first_stage: bool, has_exits: bool) -> None:
    early = request.early
    if early == Early():
        raise ValueError("nothing is to change; expected another weight, or another confidence of first stage or exits")
    if (early.blend_weight is not None or early.first_stage_from is not None) and not has_first_stage:
        raise ValueError(f"{request.bundle}: has no first stage; expected one whose weight or confidence can change")
    if early.exit_confidence is not None and not has_exits:
        raise ValueError(f"{request.bundle}: has no exits; expected some whose confidence can change, see `add-exits`")


def _blend(fields: Any) -> float | None:
    return None if fields is None else fields.blend_weight


def _changed(first_stage: FirstStage | None, answers_from: float | None) -> FirstStage | None:
    if first_stage is None or answers_from is None:
        return first_stage
    limit = None if answers_from > 1 else float(np.round(answers_from, 4))
    return replace(first_stage, fields=first_stage.fields.model_copy(update={"exit_from": limit}))
