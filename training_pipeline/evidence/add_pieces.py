"""Give a finished bundle pieces: what of a chat is evidence besides its main window.

No training: the weights of the pieces are fitted on held-out chats, and the calibration chats get their evidence.
`export` does the same from a run; this needs the bundle and the run's chats only. Other chats, or another seed, would
calibrate on chats that trained the model: so what the bundle's own calibration.json says of its chats must come out
again first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from model.bundle.bundle import Bundle, load_bundle
from model.bundle.manifest import CALIBRATION_NAME, LANGUAGES_NAME, MODEL_NAME, TOKENIZER_NAME
from model.classifier import Classifier
from model.evidence.pieces import FEW_PIECES, PieceRule
from training_pipeline.bundle.calibrate import Calibration
from training_pipeline.bundle.figures import bundle_figures, longest_messages
from training_pipeline.bundle.finished import check_calibration, kept_fields, run_chats
from training_pipeline.bundle.writer import first_stage_files, write_bundle
from training_pipeline.chats.held_out import FITTING_RATIO
from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.chats.split import calibration_split
from training_pipeline.evidence.fit import FittedEvidence, fit_evidence
from training_pipeline.languages.files import DEFAULT_LANGUAGES, read_languages
from training_pipeline.quality.evaluate import predict
from training_pipeline.train.config import TrainConfig

_KEPT: Final = frozenset({"early_exits", "calibration", "parity"})
"""Figures of the model itself, which stays the same."""


@dataclass(frozen=True)
class AddPiecesRequest:
    """Which bundle gets pieces, and what it was made from."""

    bundle: Path
    data: Sequence[Path]
    """The chats of its run, in order."""
    config: TrainConfig
    """Of its run: the seeds and the share of held-out chats decide which chats those are."""
    out: Path
    version: str
    evaluation: Sequence[Path] = ()
    """Labelled chats that training never saw."""
    pieces: PieceRule = FEW_PIECES
    weights: Mapping[str, float] = field(default_factory=dict)
    """Those that are given and not fitted, by category code."""
    languages: Path | None = DEFAULT_LANGUAGES
    """What `fit-languages` wrote; None for a bundle that tells no languages apart."""
    probes: Path | None = None
    """Folder of probes for the manifest and the card; None leaves them out."""
    n_threads: int = 1


def add_pieces(request: AddPiecesRequest) -> dict[str, Any]:
    """Write the bundle with pieces and return its metrics.

    Raises:
        ValueError: the bundle has pieces, or was calibrated on other chats.
        model.errors.BundleError: a bundle does not load in the serving classes.
    """
    bundle = load_bundle(request.bundle)
    manifest = bundle.manifest
    if manifest.evidence is not None:
        raise ValueError(f"{request.bundle}: has pieces already; expected one without; export it again instead")
    if unknown := sorted(set(request.weights) - set(bundle.taxonomy.codes)):
        raise ValueError(f"--weight: {', '.join(unknown)}; expected categories of {', '.join(bundle.taxonomy.codes)}")
    _, held_out = run_chats(bundle, request.data, request.config)
    _check_chats(bundle, held_out, request)
    fitted = fit_evidence(
        bundle,
        held_out,
        request.pieces,
        seed=request.config.seed,
        n_threads=request.n_threads,
        weights=request.weights,
    )
    calibration = with_evidence(_calibration_of(bundle), fitted)
    contents = {TOKENIZER_NAME: bundle.tokenizer_json.encode(), MODEL_NAME: bundle.model}
    contents |= first_stage_files(bundle.first_stage) | {CALIBRATION_NAME: calibration.to_json()}
    fields = kept_fields(bundle, request.version, evidence=fitted.rule)
    languages = with_languages(request.languages, contents, fields)

    def measure(staging: Path) -> dict[str, Any]:
        metrics = bundle_figures(
            staging,
            request.evaluation,
            n_threads=request.n_threads,
            plain=bundle.model,
            exits=None,
            probes=request.probes,
        )
        kept = {name: found for name, found in manifest.metrics.items() if name in _KEPT}
        # Bundles that were exported before the lengths were recorded get them here.
        kept["calibration"] = {**kept.get("calibration", {}), "longest_message": longest_messages(held_out)}
        return {**metrics, **kept, "evidence": fitted.summary(), **languages}

    return write_bundle(request.out, contents, fields, calibration, measure)


def with_languages(folder: Path | None, contents: dict[str, bytes], fields: dict[str, Any]) -> dict[str, Any]:
    """Add the table of languages to a bundle's files and fields, and return its figures for the manifest's metrics."""
    if folder is None:
        return {}
    found = read_languages(folder)
    contents[LANGUAGES_NAME] = found.detector.to_bytes()
    fields["languages"] = found.detector.rule
    return {"languages": found.figures}


def with_evidence(calibration: Calibration, found: FittedEvidence) -> Calibration:
    """Return the calibration of the bundle with pieces."""
    return replace(calibration, probabilities=found.probabilities, evidence=found.evidence)


def _check_chats(bundle: Bundle, held_out: LabelledChats, request: AddPiecesRequest) -> None:
    guarantee, _ = calibration_split(held_out.labels, calibration_ratio=FITTING_RATIO, seed=request.config.seed)
    classifier = Classifier(bundle, bundle.default_policy, n_threads=request.n_threads)
    found = predict(classifier, held_out.take(guarantee))
    check_calibration(bundle, found.probabilities, request.bundle)


def _calibration_of(bundle: Bundle) -> Calibration:
    """Return what the bundle says of its calibration; how the scaling was fitted is in its metrics."""
    first = bundle.manifest.first_stage
    return Calibration(
        codes=bundle.taxonomy.codes,
        temperature=bundle.manifest.temperature,
        class_groups=bundle.manifest.class_groups,
        labels=bundle.calibration_labels,
        probabilities=bundle.calibration_probabilities,
        evidence=bundle.calibration_evidence,
        nll_before=None,
        nll_after=None,
        blend_weight=None if first is None else first.blend_weight,
        nll_cross_validated={},
    )
