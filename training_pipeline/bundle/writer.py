"""Write a bundle: the risk curves' operating points, the model card, and a manifest over everything.

It is first assembled beside its final place, loaded by the serving classes and measured there; only then are the
figures and the model card written and the folder moved into place.

Invariant: the same contents and fields give the same bytes; nothing depends on the clock or the machine's paths.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from model.bundle.bundle import load_bundle
from model.bundle.files import sha256_of
from model.bundle.manifest import (
    CALIBRATION_NAME,
    FIRST_STAGE_NAME,
    MANIFEST_NAME,
    MODEL_CARD_NAME,
    NETWORK_NAME,
    FileEntry,
    Manifest,
)
from model.bundle.thresholds import calibration_size, thresholds_for
from model.cascade.first_stage import FirstStage
from schemas import Policy, Taxonomy
from training_pipeline.bundle.calibrate import Calibration
from training_pipeline.bundle.model_card import model_card
from training_pipeline.graph.quantise import QUANTISATION

LICENCE: Final = "MODEL_CARD.md says under which licences the encoder and the training texts are"


def first_stage_files(first_stage: FirstStage | None) -> dict[str, bytes]:
    """Return the files of a first stage, by name; none where there is none."""
    if first_stage is None:
        return {}
    files = {FIRST_STAGE_NAME: first_stage.to_bytes()}
    if first_stage.network is not None:
        files[NETWORK_NAME] = first_stage.network.to_bytes()
    return files


def write_bundle(
    out: Path,
    contents: Mapping[str, bytes],
    fields: Mapping[str, Any],
    calibration: Calibration,
    measure: Callable[[Path], dict[str, Any]],
) -> dict[str, Any]:
    """Write a bundle, in place of an earlier one, and return its metrics.

    Args:
        out: The bundle's folder.
        contents: Every file but the model card and the manifest, by name.
        fields: The manifest's name, version, taxonomy, default policy, windowing, scaling, first stage, training
            data and evidence rule.
        calibration: What calibration.json was made from.
        measure: Returns the figures for the manifest and the card of the bundle in a folder.

    Raises:
        model.errors.BundleError: the bundle does not load in the serving classes.
    """
    staging = out.with_name(f".{out.name}.staging")
    shutil.rmtree(staging, ignore_errors=True)
    _write(staging, contents, fields, calibration, metrics={})
    metrics = measure(staging)
    _write(staging, contents, fields, calibration, metrics)
    load_bundle(staging)
    shutil.rmtree(out, ignore_errors=True)
    staging.rename(out)
    return metrics


def _write(
    folder: Path,
    contents: Mapping[str, bytes],
    fields: Mapping[str, Any],
    calibration: Calibration,
    metrics: dict[str, Any],
) -> None:
    """Write all files of a bundle, the manifest last."""
    policy: Policy = fields["policy"]
    taxonomy: Taxonomy = fields["taxonomy"]
    curves = calibration.curves(policy)
    thresholds = thresholds_for(curves, policy)
    card = model_card(fields, metrics, thresholds, calibration_size(curves, policy))
    files = {**contents, MODEL_CARD_NAME: card.encode()}
    is_calibrated = calibration.speaks_for(policy)
    if not is_calibrated:
        # Chats of one kind alone promise nothing of the other; a bundle that says so is served, and allows nothing.
        del files[CALIBRATION_NAME]
    manifest = Manifest(
        format_version=2,
        calibrated=is_calibrated,
        labels=list(taxonomy.codes),
        files={name: FileEntry(digest=sha256_of(content), n_bytes=len(content)) for name, content in files.items()},
        thresholds=thresholds,
        metrics=metrics,
        quantisation=QUANTISATION,
        licence=LICENCE,
        **fields,
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    dumped = manifest.model_dump(mode="json")
    for name in ("class_groups", "first_stage", "evidence", "languages", "encoder"):
        if dumped[name] is None:
            # Left out where unused: workers of an earlier version refuse fields they do not know.
            del dumped[name]
    if not manifest.windowing.keeps_request:
        del dumped["windowing"]["keeps_request"]
    if manifest.windowing.marks_roles:
        del dumped["windowing"]["marks_roles"]
    document = orjson.dumps(dumped, option=orjson.OPT_INDENT_2)
    (folder / MANIFEST_NAME).write_bytes(document + b"\n")
