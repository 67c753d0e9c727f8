"""Turn a training run into a bundle: quantise, calibrate, measure, describe, and put everything under digests.

Invariant: the same run, data and arguments give the same bytes; nothing in a bundle depends on the clock or the
machine's paths.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from safetensors.numpy import load_file

from model.bundle.bundle import load_bundle
from model.bundle.manifest import (
    CALIBRATION_NAME,
    MODEL_NAME,
    TOKENIZER_NAME,
)
from model.bundle.policy_file import policy_over
from model.calibration import LogitScaling, banned_mask
from model.cascade.first_stage import FirstStage
from model.evidence.pieces import PieceRule
from model.tokenization import ConversationTokenizer
from schemas import Policy
from training_pipeline.bundle.calibrate import Calibration
from training_pipeline.bundle.figures import bundle_figures, calibration_figures
from training_pipeline.bundle.scaling_fit import Groups, ScalingKind
from training_pipeline.bundle.served_model import PlainModel, Serving, served_model
from training_pipeline.bundle.small_data import too_few_for_first_stage, too_few_for_pieces, too_few_to_scale
from training_pipeline.bundle.writer import first_stage_files, write_bundle
from training_pipeline.cascade.averaging_network_fit import token_vectors
from training_pipeline.cascade.early_exit_fit import EarlyExitOptions
from training_pipeline.cascade.first_stage_fit import FirstStageOptions, fit_first_stage
from training_pipeline.chats.data_record import read_recorded_chats
from training_pipeline.chats.held_out import HeldOut
from training_pipeline.chats.labelled_chats import LabelledChats, read_labelled_chats
from training_pipeline.chats.split import split_chats
from training_pipeline.distil.layout import RECORD_NAME as DISTIL_RECORD_NAME
from training_pipeline.encoder.files import default_encoder_path, read_encoder_shape
from training_pipeline.encoder.source import UNKNOWN_SOURCE, EncoderSource, recorded_source, source_of
from training_pipeline.evidence.add_pieces import with_evidence, with_languages
from training_pipeline.evidence.fit import FittedEvidence, fit_evidence
from training_pipeline.graph.distilbert_weights import as_bert
from training_pipeline.graph.onnx_graph import FloatMatrix, build_graph
from training_pipeline.graph.parity import parity_report, runtime_logits
from training_pipeline.graph.quantise import PerTokenProducts
from training_pipeline.train.config import TrainConfig, read_config
from training_pipeline.train.run_folder import chosen_epoch, encoder_of


@dataclass(frozen=True)
class ExportRequest:
    """What to export, from which run, and under which name."""

    run: Path
    data: Sequence[Path]
    """The files the run was trained on, in its order."""
    out: Path
    name: str
    version: str
    evaluation: Sequence[Path] = ()
    """Labelled chats that training never saw."""
    probes: Path | None = None
    """Folder of probes for the manifest's figures and the model card."""
    epoch: int | None = None
    """The run's own choice where None: its best epoch if it may stop early, or else the last planned one."""
    encoder: Path | None = None
    """The run's own where None."""
    n_threads: int = 1
    scaling: ScalingKind = ScalingKind.AUTO
    first_stage: FirstStageOptions | None = field(default_factory=FirstStageOptions)
    """None for a bundle whose transformer answers every chat."""
    early_exits: EarlyExitOptions | None = field(default_factory=EarlyExitOptions)
    """None for a transformer that reads every chat to its last layer."""
    pieces: PieceRule | None = None
    """How chats are cut besides their main window; None for a bundle that reads main windows only."""
    policy: Path | None = None
    """Policy file, which becomes the bundle's default policy; None takes what the taxonomy bans."""
    languages: Path | None = None
    """What `fit-languages` wrote; None for a bundle that tells no languages apart. Needs pieces."""


def read_weights(run: Path, epoch: int) -> dict[str, FloatMatrix]:
    """Read a checkpoint as float32 arrays by name.

    Raises:
        ValueError: there is no checkpoint of that epoch.
    """
    path = run / f"epoch-{epoch}.safetensors"
    if not path.is_file():
        raise ValueError(f"{path}: not there; expected a checkpoint of epoch {epoch}; see {run} for the epochs it has")
    return {name: np.asarray(value, dtype=np.float32) for name, value in load_file(path).items()}


def int8_model(run: Path, epoch: int, encoder: Path) -> bytes:
    """Return the contents of model.onnx for a checkpoint."""
    # Configuration first: it says clearly which encoders can be served, weights only by a missing name.
    shape = read_encoder_shape(encoder, pooling=read_config(run).pooling)
    return build_graph(read_weights(run, epoch), shape, PerTokenProducts()).SerializeToString(deterministic=True)


def export_bundle(request: ExportRequest) -> dict[str, Any]:
    """Write a bundle and return its metrics.

    What the chats are too few for is left out; `left_out` in the metrics says what, and why.

    Raises:
        PolicyError: the policy is refused.
        ValueError: the run, the data or the encoder do not fit together; says how.
        model.errors.BundleError: the bundle does not load in the serving classes.
    """
    config = read_config(request.run)
    record, chats = read_recorded_chats(request.run, request.data, config)
    training, held_out = split_chats(chats, config)
    encoder = request.encoder or encoder_of(request.run)
    epoch = request.epoch or chosen_epoch(request.run)
    tokenizer_json = (encoder / TOKENIZER_NAME).read_bytes()
    tokenizer = ConversationTokenizer(tokenizer_json.decode(), max_tokens=config.windowing.max_tokens)
    model = int8_model(request.run, epoch, encoder)
    policy = policy_over(config.taxonomy, request.policy)
    left_out: dict[str, str] = {}
    first_stage = None
    if request.first_stage is not None:
        first_stage, reason = _first_stage(
            request, request.first_stage, chats.take(training), chats.take(held_out), policy
        )
        if reason is not None:
            left_out["first_stage"] = reason
    unseen = HeldOut.of(
        chats.take(held_out),
        tokenizer,
        policy,
        first_stage,
        blend_weight=None if request.first_stage is None else request.first_stage.blend_weight,
    )
    serving = Serving(config.seed, request.scaling, tokenizer.pad_id, request.n_threads)
    logits = unseen.logits(model, pad_id=tokenizer.pad_id, n_threads=request.n_threads)
    plain = PlainModel(model, logits, unseen.calibrated(logits, seed=config.seed, kind=request.scaling))
    early_exits = request.early_exits
    if early_exits is not None and (reason := too_few_to_scale("exits", unseen, config.seed)) is not None:
        early_exits, left_out["early_exits"] = None, reason
    served = served_model(plain, chats.take(training).encode(tokenizer), unseen, early_exits, serving)
    calibration, exits = served.calibration, served.exits
    contents = {MODEL_NAME: served.model, TOKENIZER_NAME: tokenizer_json, CALIBRATION_NAME: calibration.to_json()}
    contents |= first_stage_files(first_stage)
    first_fields = None
    if first_stage is not None:
        first_fields = first_stage.fields.model_copy(update={"blend_weight": calibration.blend_weight})
    fields: dict[str, Any] = {
        "name": request.name,
        "version": request.version,
        "taxonomy": config.taxonomy,
        "policy": policy,
        "windowing": config.windowing,
        "temperature": calibration.temperature,
        "class_groups": calibration.class_groups,
        "first_stage": first_fields,
        "training_data": {
            **record.model_dump(mode="json"),
            "n_chats_held_out": len(held_out),
            "epoch": epoch,
            "pooling": config.pooling,
            "encoder": _encoder_source(request).model_dump(mode="json", exclude_defaults=True),
            **_distilled(request.run),
        },
    }

    fitted = None
    if request.pieces is not None and (reason := too_few_for_pieces(unseen, config.seed)) is not None:
        left_out["pieces"] = reason
    elif request.pieces is not None:
        fitted = _with_pieces(
            request, contents, fields, calibration, pieces=request.pieces, held_out=chats.take(held_out)
        )
        calibration = with_evidence(calibration, fitted)
        contents[CALIBRATION_NAME] = calibration.to_json()
        fields["evidence"] = fitted.rule
    languages = with_languages(None if fitted is None else request.languages, contents, fields)

    def measure(staging: Path) -> dict[str, Any]:
        metrics = bundle_figures(
            staging,
            request.evaluation,
            n_threads=request.n_threads,
            plain=model,
            exits=exits,
            probes=request.probes,
        )
        metrics["calibration"] = calibration_figures(calibration, chats.take(held_out))
        metrics["parity"] = _parity(request, config, model, chats.take(held_out), calibration.scaling)
        if left_out:
            metrics["left_out"] = left_out
        if fitted is not None:
            metrics |= {"evidence": fitted.summary(), **languages}
        return metrics

    return write_bundle(request.out, contents, fields, calibration, measure)


def _first_stage(
    request: ExportRequest,
    options: FirstStageOptions,
    training: LabelledChats,
    held_out: LabelledChats,
    policy: Policy,
) -> tuple[FirstStage | None, str | None]:
    """Return a first stage fitted on the run's training chats; or None, and why."""
    if (reason := too_few_for_first_stage(training, options)) is not None:
        return None, reason
    config, encoder = read_config(request.run), request.encoder or encoder_of(request.run)
    tokenizer_json = (encoder / TOKENIZER_NAME).read_text(encoding="utf-8")
    tokenizer = ConversationTokenizer(tokenizer_json, max_tokens=config.windowing.max_tokens)
    vectors = token_vectors(
        as_bert(read_weights(request.run, request.epoch or chosen_epoch(request.run))),
        max_tokens=config.windowing.max_tokens,
        epsilon=read_encoder_shape(encoder, pooling=config.pooling).layer_norm_epsilon,
    )
    codes = config.taxonomy.codes
    groups = Groups(codes, banned_mask(policy.banned, codes))
    found = fit_first_stage(training, tokenizer, config, options, groups, vectors=vectors)
    reason = too_few_to_scale("first stage", HeldOut.of(held_out, tokenizer, policy, found), config.seed)
    return (found, None) if reason is None else (None, reason)


def _with_pieces(
    request: ExportRequest,
    contents: Mapping[str, bytes],
    fields: Mapping[str, Any],
    calibration: Calibration,
    *,
    pieces: PieceRule,
    held_out: LabelledChats,
) -> FittedEvidence:
    """Fit the evidence rule through the bundle without pieces, which is written beside its place and removed."""
    plain = request.out.with_name(f".{request.out.name}.plain")
    try:
        write_bundle(plain, contents, fields, calibration, lambda _: {})
        seed = read_config(request.run).seed
        return fit_evidence(load_bundle(plain), held_out, pieces, seed=seed, n_threads=request.n_threads)
    finally:
        shutil.rmtree(plain, ignore_errors=True)


def _encoder_source(request: ExportRequest) -> EncoderSource:
    """Return where the weights come from: as the run recorded it, or as the folder that was named says."""
    kept = encoder_of(request.run)
    recorded = recorded_source(kept)
    if recorded is not None:
        return recorded
    named = request.encoder or (kept if kept == default_encoder_path() else None)
    return UNKNOWN_SOURCE if named is None else source_of(named)


def _distilled(run: Path) -> dict[str, Any]:
    """Return what a student was taught by, from the record beside its run; nothing for any other run."""
    path = run.resolve().parent / DISTIL_RECORD_NAME
    if not path.is_file():
        return {}
    record = orjson.loads(path.read_bytes())
    return {"teachers": [teacher["digest"] for teacher in record["teachers"]], "mixing": record["mixing"]}


def _parity(
    request: ExportRequest, config: TrainConfig, int8: bytes, held_out: LabelledChats, scaling: LogitScaling
) -> dict[str, Any]:
    """Compare the runtimes on the held-out chats and those of the manifest's figures.

    Both, because a handful of chats near a border decides the difference in accuracy: on 770 chats each is 0.13 points.
    """
    parts = [held_out]
    if request.evaluation:
        chats = read_labelled_chats(request.evaluation, config.windowing, frozenset(), config.taxonomy)
        parts.append(chats.take(np.flatnonzero(chats.agreed)))
    encoder = request.encoder or encoder_of(request.run)
    epoch = request.epoch or chosen_epoch(request.run)
    tokenizer_json = (encoder / TOKENIZER_NAME).read_text(encoding="utf-8")
    tokenizer = ConversationTokenizer(tokenizer_json, max_tokens=config.windowing.max_tokens)
    logits = runtime_logits(
        [row for chats in parts for row in chats.encode(tokenizer)],
        checkpoint=request.run / f"epoch-{epoch}.safetensors",
        weights=read_weights(request.run, epoch),
        encoder=encoder,
        pooling=config.pooling,
        int8=int8,
        pad_id=tokenizer.pad_id,
        n_threads=request.n_threads,
    )
    report = parity_report(np.concatenate([chats.labels for chats in parts]), logits, scaling, held_out.banned_columns)
    return {"data": "held out and evaluation" if request.evaluation else "held out", **report.as_dict()}
