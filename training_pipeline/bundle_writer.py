"""Write the files of a bundle: the risk curves' operating points, the model card, and a manifest over everything.

Invariant: the same contents and fields give the same bytes; nothing depends on the clock or the machine's paths.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from model.bundle import sha256_of
from model.calibration import RiskCurves
from model.manifest import MANIFEST_NAME, MODEL_CARD_NAME, FileEntry, Manifest
from model.thresholds import thresholds_for
from schemas import CODES, DEFAULT_POLICY
from training_pipeline.calibrate import Calibration
from training_pipeline.model_card import model_card

QUANTISATION: Final = (
    "INT8: weights per column, embeddings per row, activations per token; see training_pipeline/quantise.py"
)

LICENCE: Final = "Apache-2.0 for the encoder; MODEL_CARD.md says under which licences the training texts are"


def write_bundle(
    folder: Path,
    contents: Mapping[str, bytes],
    fields: Mapping[str, Any],
    calibration: Calibration,
    metrics: dict[str, Any],
) -> None:
    """Write all files of a bundle, the manifest last.

    Args:
        folder: Made where it is not there.
        contents: Every file but the model card and the manifest, by name.
        fields: The manifest's name, version, windowing, scaling, first stage and training data.
        calibration: What calibration.json was made from.
        metrics: Figures for the manifest and the card.
    """
    curves = RiskCurves.build(
        calibration.probabilities, calibration.labels, frozenset(code.value for code in DEFAULT_POLICY.banned)
    )
    thresholds = thresholds_for(curves, DEFAULT_POLICY)
    card = model_card(fields, metrics, thresholds, n_banned=len(curves.banned_scores), n_safe=len(curves.safe_scores))
    files = {**contents, MODEL_CARD_NAME: card.encode()}
    manifest = Manifest(
        format_version=1,
        labels=list(CODES),
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
    for name in ("class_groups", "first_stage"):
        if dumped[name] is None:
            # Left out where unused: workers of an earlier version refuse fields they do not know.
            del dumped[name]
    document = orjson.dumps(dumped, option=orjson.OPT_INDENT_2)
    (folder / MANIFEST_NAME).write_bytes(document + b"\n")
