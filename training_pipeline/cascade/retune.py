"""Change how often the early answers of a finished bundle count, and calibrate it anew.

First stage and exits are fitted to be cheap; what they may answer alone is a choice between quality and CPU that needs
no training: the weight of the first stage's logits, and from which confidence it, or an exit, answers alone. As with
`add-exits`, the bundle's own calibration must come out again first, so that the chats are those that it never saw.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from model.bundle.bundle import load_bundle
from model.bundle.manifest import CALIBRATION_NAME, MODEL_NAME, TOKENIZER_NAME
from model.cascade.first_stage import FirstStage
from model.tokenization import ConversationTokenizer
from training_pipeline.bundle.calibrate import FirstAnswers
from training_pipeline.bundle.figures import bundle_figures, calibration_figures
from training_pipeline.bundle.finished import (
    blend_weight_of,
    calibrated_fields,
    check_calibration,
    kept_fields,
    run_chats,
)
from training_pipeline.bundle.scaling_fit import ScalingKind
from training_pipeline.bundle.writer import first_stage_files, write_bundle
from training_pipeline.cascade.early_exit_graph import with_confidence, without_leaving
from training_pipeline.chats.held_out import HeldOut
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
    _, held_out = run_chats(bundle, request.data, request.config)
    before = HeldOut.of(
        held_out, tokenizer, bundle.default_policy, bundle.first_stage, blend_weight=blend_weight_of(bundle)
    )
    logits_of = partial(before.logits, pad_id=tokenizer.pad_id, n_threads=request.n_threads)
    plain, served = logits_of(without_leaving(bundle.model)), logits_of(bundle.model)
    seed, kind = request.config.seed, request.scaling
    known = before.calibrated(plain, seed=seed, kind=kind, served=served)
    check_calibration(bundle, known.probabilities, request.bundle)

    model, first_stage = bundle.model, _changed(bundle.first_stage, early.first_stage_from)
    if early.exit_confidence is not None:
        model = with_confidence(bundle.model, early.exit_confidence)
        metrics["early_exits"] = {**metrics["early_exits"], "confidence": early.exit_confidence}
        served = logits_of(model)
    after = replace(before, first=_answers(before.first, first_stage, early.blend_weight))
    calibration = after.calibrated(plain, seed=seed, kind=kind, served=served)
    fields = kept_fields(bundle, request.version, **calibrated_fields(calibration, first_stage and first_stage.fields))
    contents = {MODEL_NAME: model, TOKENIZER_NAME: bundle.tokenizer_json.encode()}
    contents |= first_stage_files(first_stage) | {CALIBRATION_NAME: calibration.to_json()}

    def measure(staging: Path) -> dict[str, Any]:
        found = bundle_figures(staging, request.evaluation, n_threads=request.n_threads, plain=model, exits=None)
        found["calibration"] = calibration_figures(calibration, held_out)
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


def _changed(first_stage: FirstStage | None, answers_from: float | None) -> FirstStage | None:
    if first_stage is None or answers_from is None:
        return first_stage
    limit = None if answers_from > 1 else float(np.round(answers_from, 4))
    return replace(first_stage, fields=first_stage.fields.model_copy(update={"exit_from": limit}))


def _answers(
    before: FirstAnswers | None, first_stage: FirstStage | None, blend_weight: float | None
) -> FirstAnswers | None:
    """Return what the changed first stage says of the same chats: its logits are what they were."""
    if before is None or first_stage is None:
        return None
    weight = before.blend_weight if blend_weight is None else blend_weight
    return FirstAnswers(before.logits, first_stage.answers(before.logits)[0], weight)
