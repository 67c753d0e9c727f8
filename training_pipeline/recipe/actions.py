"""The work of each stage of a recipe: calls the functions behind the commands and returns a line about the outcome."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from model.bundle.bundle import load_bundle
from model.bundle.policy_file import load_policy
from model.classifier import Classifier
from model.evidence.pieces import FEW_PIECES
from schemas import taxonomy_of
from training_pipeline.data import agree as agree_stage
from training_pipeline.data import extract as extract_stage
from training_pipeline.data import grouped_split, show, table_chats
from training_pipeline.data import label as label_stage
from training_pipeline.data import preprocess as preprocess_stage
from training_pipeline.data.annotator_config import read_annotators
from training_pipeline.data.chat_rows import read_chat_rows
from training_pipeline.data.errors import DataError
from training_pipeline.data.recorded_answers import write_recorded_answers
from training_pipeline.data.stage_files import StageReport
from training_pipeline.languages.files import DEFAULT_LANGUAGES
from training_pipeline.recipe.config import (
    AgreeStage,
    CompareStage,
    DistilStage,
    EvaluateStage,
    ExportStage,
    ExtractStage,
    HeadStage,
    LabelStage,
    PreprocessStage,
    PromoteStage,
    SplitStage,
    TrainStage,
)


def extract(stage: ExtractStage, out: Path) -> str:
    """Raw records, or a table, to conversations."""
    given = {} if stage.table is None else stage.table.model_dump(exclude_unset=True)
    if (table := table_chats.table_options(stage.records, given)) is not None:
        return _chats(table_chats.extract_table(stage.records, out, table, last_messages=stage.last_messages))
    return _chats(extract_stage.extract_files(stage.records, out, last_messages=stage.last_messages))


def preprocess(stage: PreprocessStage, data: list[Path], out: Path) -> str:
    """Windows, duplicates, languages."""
    return _chats(preprocess_stage.preprocess(data, out, stage.options))


def label(
    stage: LabelStage,
    data: list[Path],
    out: Path,
    environment: Mapping[str, str],
    console: Console,
    *,
    taxonomy: str,
) -> str:
    """Answers of annotators, or recorded ones.

    Raises:
        DataError: some chats have no answer yet; what was answered is kept for the next run.
    """
    if stage.annotators is None:
        return f"{write_recorded_answers(data, stage.recorded, out, taxonomy_of(taxonomy))} chats with recorded answers"
    annotators = read_annotators(stage.annotators)
    keys = show.keys_from_environment(annotators, environment)
    rows = list(read_chat_rows(data, lambda _: None))
    accounts = label_stage.label(
        rows, annotators, keys, out, taxonomy=taxonomy_of(taxonomy), max_cost_usd=stage.max_cost_usd
    )
    for account in accounts:
        console.print(f"{account.annotator}: {account.n_attempts} requests, cost {account.cost_usd or 0:.4f} USD")
    if n_left := sum(account.n_left for account in accounts):
        raise DataError(f"label: {n_left} answers are missing; run the recipe again to go on")
    return f"{len(rows)} chats by {len(annotators)} annotators"


def agree(stage: AgreeStage, data: list[Path], answers: list[Path], out: Path, console: Console) -> str:
    """Answers to labels; a folder stands for the answers files in it."""
    files = [file for path in answers for file in (sorted(path.glob("*.jsonl")) if path.is_dir() else [path])]
    report = agree_stage.agree(data, files, out, stage.options, tables=stage.tables)
    console.print(
        f"Fleiss' kappa {report.details['fleiss_kappa']}, for a person: {report.details['n_queued_by_reason']}"
    )
    return _chats(report)


def split(stage: SplitStage, data: list[Path], out: Path, *, taxonomy: str) -> str:
    """Labelled chats to splits."""
    report = grouped_split.split(
        data,
        out,
        stage.ratios,
        threshold=stage.threshold,
        seed=stage.seed,
        excluded=stage.exclude,
        taxonomy=taxonomy_of(taxonomy),
        by=stage.by,
    )
    sizes = {name: found["n_chats"] for name, found in report.details["splits"].items()}
    return ", ".join(f"{name} {n}" for name, n in sizes.items())


def head(
    stage: HeadStage,
    data: list[Path],
    dev: Path,
    *,
    evaluation: list[Path],
    encoder: Path,
    out: tuple[Path, Path],
    n_threads: int,
) -> str:
    """A head on the frozen encoder: a run, and the bundle of it."""
    import torch  # noqa: PLC0415

    from training_pipeline.bundle.export import ExportRequest, export_bundle  # noqa: PLC0415
    from training_pipeline.train.train import run_training  # noqa: PLC0415

    torch.set_num_threads(n_threads)
    run, bundle = out
    shutil.rmtree(run, ignore_errors=True)
    checkpoint = run_training(data, dev, run, stage.config, encoder=encoder)
    request = ExportRequest(
        run=run,
        data=data,
        out=bundle,
        name=stage.name,
        version=stage.version,
        evaluation=evaluation,
        encoder=encoder,
        policy=stage.policy,
        n_threads=n_threads,
        scaling=stage.scaling,
        first_stage=None,
        early_exits=None,
        pieces=FEW_PIECES if stage.pieces else None,
        languages=DEFAULT_LANGUAGES if stage.pieces else None,
    )
    metrics = export_bundle(request)
    return f"{checkpoint.name}, {load_bundle(bundle).digest[:19]}, scaling: {metrics['calibration']['scaling']}"


def train(
    stage: TrainStage, data: list[Path], dev: Path, *, encoder: Path, out: Path, code: str, n_threads: int
) -> str:
    """Labelled chats to checkpoints; an interrupted run of the same chats, arguments and code goes on.

    Any other run in the folder is moved aside.
    """
    import torch  # noqa: PLC0415  (seconds of import that a plan does not need)

    from training_pipeline.encoder.files import resolve_encoder  # noqa: PLC0415
    from training_pipeline.encoder.layers import keep_layers  # noqa: PLC0415
    from training_pipeline.recipe.state import arguments_digest, paths_digest  # noqa: PLC0415
    from training_pipeline.train.train import run_training  # noqa: PLC0415

    torch.set_num_threads(n_threads)
    begun = arguments_digest([stage.model_dump(mode="json"), paths_digest([*data, dev]), code])
    _make_room(out, begun)
    if stage.encoder_layers is not None:
        keep_layers(resolve_encoder(stage.encoder), stage.encoder_layers, encoder)
    checkpoint = run_training(
        data, dev, out, stage.config, licence_classes=frozenset(stage.licence_classes), encoder=encoder
    )
    return f"{checkpoint.name} of {stage.config.n_epochs}"


def distil(
    stage: DistilStage,
    run: Path | None,
    data: list[Path],
    dev: Path,
    *,
    licence_classes: list[str],
    out: Path,
    n_threads: int,
) -> str:
    """A student of the run and of other models; without a run, of a table of soft labels.

    Raises:
        ValueError: teachers and chats do not fit together; says how.
    """
    import torch  # noqa: PLC0415

    from training_pipeline.distil.distil import DistilRequest  # noqa: PLC0415
    from training_pipeline.distil.distil import distil as run_distil  # noqa: PLC0415
    from training_pipeline.distil.student import StudentShape  # noqa: PLC0415
    from training_pipeline.distil.student_chats import Mixing  # noqa: PLC0415
    from training_pipeline.encoder.files import resolve_encoder  # noqa: PLC0415

    torch.set_num_threads(n_threads)
    request = DistilRequest(
        teachers=[] if run is None else [run, *stage.teachers],
        soft_labels=stage.soft_labels,
        start=None if stage.start is None else resolve_encoder(stage.start),
        data=data,
        dev=dev,
        out=out,
        config=stage.config,
        unlabelled=stage.unlabelled,
        shape=StudentShape(n_layers=stage.layers),
        mixing=Mixing(stage.temperature, stage.hard_ratio),
        licence_classes=frozenset(licence_classes),
        n_threads=n_threads,
    )
    made = run_distil(request)
    return f"{made['student']['n_parameters']} parameters, {made['chats']['n_chats']} chats"


def _make_room(run: Path, begun: str) -> None:
    """Move a run of other chats or arguments aside: weights that took hours are not deleted by an edit."""
    marker = run.with_name(f"{run.name}.begun")
    before = marker.read_text() if marker.exists() else None
    if run.exists() and before != begun:
        aside = run.with_name(f"{run.name}-before-{begun.removeprefix('sha256:')[:8]}")
        shutil.rmtree(aside, ignore_errors=True)
        run.rename(aside)
    marker.write_text(begun)


def compare_checkpoints(
    run: Path, data: list[Path], *, encoder: Path, out: Path, n_threads: int, console: Console
) -> str:
    """Compare the checkpoints on the held-out chats."""
    from training_pipeline.train import checkpoints  # noqa: PLC0415

    rows = checkpoints.compare_checkpoints(run, data, encoder, n_threads=n_threads)
    checkpoints.print_checkpoints(rows, console)
    _write_json(out, {"checkpoints": rows})
    best = min(rows, key=lambda row: row["nll"])
    return f"best likelihood: epoch {best['epoch']}, {best['nll']} nats"


def export(
    stage: ExportStage,
    run: Path,
    data: list[Path],
    *,
    evaluation: list[Path],
    encoder: Path,
    out: Path,
    n_threads: int,
    console: Console,
) -> str:
    """A checkpoint to a bundle."""
    from training_pipeline.bundle.export import ExportRequest, export_bundle  # noqa: PLC0415
    from training_pipeline.cascade.early_exit_fit import EarlyExitOptions  # noqa: PLC0415
    from training_pipeline.cascade.first_stage_fit import FirstStageOptions  # noqa: PLC0415
    from training_pipeline.graph.parity import print_parity  # noqa: PLC0415

    request = ExportRequest(
        run=run,
        data=data,
        out=out,
        name=stage.name,
        version=stage.version,
        policy=stage.policy,
        evaluation=evaluation,
        probes=stage.probes,
        epoch=stage.epoch,
        encoder=encoder,
        n_threads=n_threads,
        scaling=stage.scaling,
        first_stage=(
            FirstStageOptions(exit_precision=stage.first_stage_precision, blend_weight=stage.blend_weight)
            if stage.first_stage
            else None
        ),
        early_exits=EarlyExitOptions(confidence=stage.exit_confidence) if stage.early_exits else None,
        pieces=FEW_PIECES if stage.pieces else None,
        languages=DEFAULT_LANGUAGES if stage.pieces else None,
    )
    metrics = export_bundle(request)
    print_parity(metrics["parity"], console)
    return f"{load_bundle(out).digest[:19]}, scaling: {metrics['calibration']['scaling']}"


def evaluate(
    stage: EvaluateStage, bundle: Path, data: list[Path], *, out: tuple[Path, Path], n_threads: int, console: Console
) -> str:
    """The bundle's figures and the check of its guarantee.

    Raises:
        ValueError: the guarantee does not hold on these chats; the report says where.
    """
    from training_pipeline.chats.labelled_chats import read_labelled_chats  # noqa: PLC0415
    from training_pipeline.quality import evaluate as evaluation  # noqa: PLC0415
    from training_pipeline.quality.guarantee_report import guarantee_report, print_guarantee  # noqa: PLC0415

    loaded = load_bundle(bundle)
    policy = load_policy(stage.policy, loaded)
    classifier = Classifier(loaded, policy, n_threads=n_threads)
    report = evaluation.evaluate(
        classifier, read_labelled_chats(data, loaded.manifest.windowing, frozenset(), loaded.taxonomy)
    )
    _write_json(out[0], {"bundle": loaded.ref.model_dump(mode="json"), **report})
    figures = report["agreed"]
    if not (policy.banned and loaded.is_calibrated):
        return f"accuracy {figures['accuracy']}; no guarantee to check"
    checks = guarantee_report(loaded, data, policy, n_splits=stage.guarantee_splits, seed=0, n_threads=n_threads)
    _write_json(out[1], checks)
    print_guarantee(checks, console)
    if not checks["holds"]:
        raise ValueError(
            f"{bundle}: the guarantee does not hold on {_names(data)}; see {out[1]}; calibrate on such chats"
        )
    return f"accuracy {figures['accuracy']}, banned->safe {figures['banned_to_safe_rate']}; guarantee holds"


def compare(
    stage: CompareStage,
    bundles: list[Path],
    data: list[Path],
    *,
    answers: Path,
    out: tuple[Path, Path, Path],
    n_threads: int,
    console: Console,
) -> str:
    """Bundles and LLM endpoints side by side: document, page and text."""
    from training_pipeline.report import commands as report  # noqa: PLC0415
    from training_pipeline.report.category_report import category_report  # noqa: PLC0415
    from training_pipeline.report.html import comparison_page  # noqa: PLC0415
    from training_pipeline.report.measure import Options, comparison, read_test_set  # noqa: PLC0415
    from training_pipeline.report.tables import print_comparison  # noqa: PLC0415

    loaded = [load_bundle(path) for path in bundles]
    taxonomy, policy = report.categories_and_policy(loaded, None, stage.policy)
    candidates = [report.bundle_candidate(one, policy, n_threads) for one in loaded]
    candidates += report.llm_candidates(stage.llm, [], answers, stage.max_cost_usd)
    report.check_names(candidates, {})
    options = Options(stage.resamples, stage.timed_chats, stage.attacks)
    test_set = read_test_set(data, taxonomy, policy, options)
    document = comparison(candidates, test_set, lambda _name, _step: None, None)
    text = category_report(document.models, document.setting.policy["banned"])
    print_comparison(document, console)
    console.print(text, highlight=False, markup=False)
    _write_json(out[0], document.model_dump(mode="json"))
    out[1].write_text(comparison_page(document), encoding="utf-8")
    out[2].write_text(text, encoding="utf-8")
    return ", ".join(f"{model.identity.name}: weighted F1 {model.agreed['weighted_f1']}" for model in document.models)


def promote(stage: PromoteStage, bundle: Path, data: list[Path], n_threads: int, console: Console) -> str:
    """The bundle into the registry, if the gate lets it."""
    from training_pipeline.release.gated_promotion import PromotionRequest, gated_promotion  # noqa: PLC0415

    request = PromotionRequest(
        bundle=bundle,
        registry=stage.registry,
        data=data,
        probes=stage.probes,
        margins=stage.margins,
        force_reason=stage.force_reason,
        sign_key=stage.sign_key,
        n_threads=n_threads,
    )
    return f"serves {gated_promotion(request, console).location}"


def _chats(report: StageReport) -> str:
    n_rejected = sum(report.n_rejected_by_reason.values())
    return f"{report.n_written} chats, {n_rejected} rejected"


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths)


def _write_json(path: Path, document: Any) -> None:
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
