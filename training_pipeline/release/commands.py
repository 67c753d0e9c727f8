"""Commands after export: exits for a bundle; is its guarantee real; may it replace the one in service; and back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console

from model import DEFAULT_BUNDLE_PATH, available_cpus, load_bundle, load_policy
from model.evidence.pieces import FEW_PIECES, PieceRule
from training_pipeline.languages.files import DEFAULT_LANGUAGES
from training_pipeline.options import (
    BundleOutOption,
    EvaluationOption,
    ManifestProbesOption,
    ThreadsOption,
    print_bundle,
    print_json,
)
from training_pipeline.train.config import TrainConfig

EXIT_BROKEN_PROMISE: Final = 4

DEFAULTS: Final = {name: field.default for name, field in TrainConfig.model_fields.items()}

PIECES: Final = FEW_PIECES

app = typer.Typer()

RunChatsOption = Annotated[
    list[Path],
    typer.Option("--data", exists=True, dir_okay=False, help="The chats of its run, in order; may be repeated."),
]
VersionOption = Annotated[str, typer.Option(help="Dotted version of the new bundle.")]
RatioOption = Annotated[float, typer.Option(help="Of the run.")]
SeedOption = Annotated[int, typer.Option(help="Of the run.")]
SplitSeedOption = Annotated[int | None, typer.Option(help="Of the run, where it had one.")]
RegistryOption = Annotated[Path, typer.Option("--registry", help="Folder that workers read their bundle from.")]


@app.command(name="add-exits")
def add_exits(
    *,
    bundle: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Bundle without exits.")],
    data: RunChatsOption,
    out: BundleOutOption,
    version: VersionOption,
    evaluation: EvaluationOption = None,
    calibration_ratio: RatioOption = DEFAULTS["calibration_ratio"],
    seed: SeedOption = DEFAULTS["seed"],
    split_seed: SplitSeedOption = DEFAULTS["split_seed"],
    threads: ThreadsOption = 0,
) -> None:
    """Give a finished bundle's transformer exits between its layers; `export` does the same from a run.

    Exit codes: 0 done; 3 refused: other chats than the bundle was calibrated on, or exits already.
    """
    from training_pipeline.cascade.add_exits import AddExitsRequest  # noqa: PLC0415
    from training_pipeline.cascade.add_exits import add_exits as add  # noqa: PLC0415

    config = TrainConfig(calibration_ratio=calibration_ratio, seed=seed, split_seed=split_seed)
    request = AddExitsRequest(
        bundle=bundle,
        data=data,
        config=config,
        out=out,
        version=version,
        evaluation=evaluation or (),
        n_threads=threads or available_cpus(),
    )
    print_bundle(out, add(request))


@app.command(name="retune-cascade")
def retune_cascade(
    *,
    bundle: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Bundle without pieces.")],
    data: RunChatsOption,
    out: BundleOutOption,
    version: VersionOption,
    blend_weight: Annotated[
        float | None, typer.Option(min=0, max=1, help="Of the first stage's logits.", show_default="as it is")
    ] = None,
    first_stage_from: Annotated[
        float | None,
        typer.Option(
            min=0, max=2, help="Confidence from which the first stage answers alone; 2: never.", show_default="as it is"
        ),
    ] = None,
    exit_confidence: Annotated[
        float | None,
        typer.Option(min=0, max=2, help="Confidence from which a row leaves early; 2: never.", show_default="as it is"),
    ] = None,
    evaluation: EvaluationOption = None,
    calibration_ratio: RatioOption = DEFAULTS["calibration_ratio"],
    seed: SeedOption = DEFAULTS["seed"],
    split_seed: SplitSeedOption = DEFAULTS["split_seed"],
    threads: ThreadsOption = 0,
) -> None:
    """Let first stage and exits of a finished bundle answer more or less often, and calibrate it anew.

    Exit codes: 0 done; 3 refused: other chats than the bundle was calibrated on, pieces, or nothing to change.
    """
    from training_pipeline.cascade.retune import Early, RetuneRequest, retune  # noqa: PLC0415

    request = RetuneRequest(
        bundle=bundle,
        data=data,
        config=TrainConfig(calibration_ratio=calibration_ratio, seed=seed, split_seed=split_seed),
        out=out,
        version=version,
        early=Early(blend_weight, first_stage_from, exit_confidence),
        evaluation=evaluation or (),
        n_threads=threads or available_cpus(),
    )
    print_bundle(out, retune(request))


@app.command(name="bundle-to-encoder")
def bundle_to_encoder(
    *,
    bundle: Annotated[
        Path, typer.Option(help="Bundle folder, or a registry.", show_default="the shipped bundle")
    ] = DEFAULT_BUNDLE_PATH,
    out: Annotated[Path, typer.Option(help="Encoder folder to write.")],
) -> None:
    """Turn a bundle's INT8 transformer back into weights that `train --encoder` goes on from, its head included."""
    from training_pipeline.encoder.from_bundle import write_encoder_of  # noqa: PLC0415

    loaded = load_bundle(bundle)
    print_json({"encoder": str(write_encoder_of(loaded, out)), "from": loaded.ref.model_dump()})


@app.command(name="fit-languages")
def fit_languages(
    *,
    data: Annotated[
        list[Path], typer.Option(exists=True, dir_okay=False, help="Chats with a field lang; may be repeated.")
    ],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder to write.")] = DEFAULT_LANGUAGES,
) -> None:
    """Fit the table that tells the languages of chats apart; `export` and `add-pieces` put it into bundles."""
    from training_pipeline.languages.files import Languages, write_languages  # noqa: PLC0415
    from training_pipeline.languages.fit import LanguageOptions  # noqa: PLC0415
    from training_pipeline.languages.fit import fit_languages as fit  # noqa: PLC0415

    detector, figures = fit(data, LanguageOptions())
    write_languages(out, Languages(detector, figures))
    print_json({"languages": str(out), "rule": detector.rule.model_dump(mode="json"), "figures": figures})


@app.command(name="add-pieces")
def add_pieces(
    *,
    bundle: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Bundle without pieces.")],
    data: RunChatsOption,
    out: BundleOutOption,
    version: VersionOption,
    evaluation: EvaluationOption = None,
    calibration_ratio: RatioOption = DEFAULTS["calibration_ratio"],
    seed: SeedOption = DEFAULTS["seed"],
    split_seed: SplitSeedOption = DEFAULTS["split_seed"],
    piece_characters: Annotated[
        int, typer.Option(min=40, help="Longest part of a paragraph that is judged by itself.")
    ] = PIECES.piece_characters,
    max_pieces: Annotated[int, typer.Option(min=1, help="Pieces of one chat, at most.")] = PIECES.max_pieces,
    weight: Annotated[
        list[str] | None,
        typer.Option(help="A category's weight that is given and not fitted, as M=0.6; may be repeated."),
    ] = None,
    languages: Annotated[Path, typer.Option(file_okay=False, help="What `fit-languages` wrote.")] = DEFAULT_LANGUAGES,
    probes: ManifestProbesOption = None,
    threads: ThreadsOption = 0,
) -> None:
    """Let a finished bundle read whole messages and whole chats, in pieces; `export` does the same from a run.

    Exit codes: 0 done; 3 refused: other chats than the bundle was calibrated on, or pieces already.
    """
    from training_pipeline.evidence.add_pieces import AddPiecesRequest  # noqa: PLC0415
    from training_pipeline.evidence.add_pieces import add_pieces as add  # noqa: PLC0415

    request = AddPiecesRequest(
        bundle=bundle,
        data=data,
        config=TrainConfig(calibration_ratio=calibration_ratio, seed=seed, split_seed=split_seed),
        out=out,
        version=version,
        evaluation=evaluation or (),
        pieces=PieceRule(
            piece_characters=piece_characters,
            max_pieces=max_pieces,
            transformer_pieces=PIECES.transformer_pieces,
        ),
        weights=_weights(weight or ()),
        languages=languages,
        probes=probes,
        n_threads=threads or available_cpus(),
    )
    print_bundle(out, add(request))


@app.command(name="verify-guarantee")
def verify_guarantee(
    *,
    bundle: Annotated[
        Path, typer.Option(help="Bundle folder, or a registry.", show_default="the shipped bundle")
    ] = DEFAULT_BUNDLE_PATH,
    data: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="Labelled chats that chose nothing; may be repeated."),
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="Policy file, TOML or JSON.")] = None,
    splits: Annotated[int, typer.Option(min=2, help="Random splits into a calibration and a fresh part.")] = 1000,
    seed: Annotated[int, typer.Option(help="Decides the splits.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the report here too, JSON.")] = None,
    threads: ThreadsOption = 0,
) -> None:
    """Check the conformal guarantee on the bundle's calibration chats and, with --data, on chats that chose nothing.

    Exit codes: 0 it holds; 3 refused; 4 it does not hold on these chats.
    """
    from training_pipeline.quality.guarantee_report import guarantee_report, print_guarantee  # noqa: PLC0415

    loaded = load_bundle(bundle)
    wanted = load_policy(policy, loaded)
    report = guarantee_report(
        loaded, data or (), wanted, n_splits=splits, seed=seed, n_threads=threads or available_cpus()
    )
    print_guarantee(report, Console(width=160))
    if out is not None:
        out.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    print_json(report)
    if not report["holds"]:
        raise typer.Exit(EXIT_BROKEN_PROMISE)


@app.command()
def promote(
    *,
    bundle: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Bundle to put into service.")],
    registry: RegistryOption,
    data: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="Labelled chats that trained neither bundle; may be repeated."),
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="Policy file: its banned categories count.")] = None,
    probes: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Folder of probes: identity gaps join the gate.")
    ] = None,
    margin_banned_to_safe: Annotated[
        float, typer.Option(min=0, max=1, help="Share of banned chats the interval's upper end may be worse by.")
    ] = 0.03,
    margin_safe_to_banned: Annotated[float, typer.Option(min=0, max=1, help="The same for safe chats.")] = 0.02,
    margin_accuracy: Annotated[float, typer.Option(min=0, max=1, help="The same for wrong categories.")] = 0.02,
    margin_category: Annotated[
        float, typer.Option(min=0, max=1, help="Share of a banned category it may be shown to be worse by.")
    ] = 0.0,
    margin_identity_gap: Annotated[
        float, typer.Option(min=0, max=1, help="Largest identity gap that passes, whatever the bundle in service has.")
    ] = 0.02,
    force: Annotated[bool, typer.Option("--force", help="Promote whatever the gate says; needs --reason.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why it is forced; recorded in the registry.")] = None,
    sign_key: Annotated[Path | None, typer.Option(help="Ed25519 private key, PEM, that signs the digest.")] = None,
    threads: ThreadsOption = 0,
) -> None:
    """Compare a bundle with the one in service on labelled chats and, if it is no worse, put it into the registry.

    Workers with MODERATION_MODEL__PATH at the registry serve it from their next start. Exit codes: 0 promoted, or
    served already; 3 refused, nothing was changed.
    """
    from training_pipeline.release.gate import GateMargins  # noqa: PLC0415
    from training_pipeline.release.gated_promotion import PromotionRequest, gated_promotion  # noqa: PLC0415

    if force != (reason is not None):
        raise typer.BadParameter("found --force without --reason, or the other way round; expected both or neither")
    request = PromotionRequest(
        bundle=bundle,
        registry=registry,
        data=data or (),
        probes=probes,
        margins=GateMargins(
            banned_to_safe=margin_banned_to_safe,
            safe_to_banned=margin_safe_to_banned,
            accuracy=margin_accuracy,
            category=margin_category,
            identity_gap=margin_identity_gap,
        ),
        force_reason=reason,
        sign_key=sign_key,
        policy=policy,
        n_threads=threads or available_cpus(),
    )
    entry = gated_promotion(request, Console(width=160))
    print_json({"registry": str(registry), **entry.model_dump(mode="json", exclude_none=True)})


@app.command()
def rollback(
    *,
    registry: RegistryOption,
    to: Annotated[
        str | None, typer.Option(help="Start of a digest that was served.", show_default="the bundle before")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Recorded in the registry.")] = None,
) -> None:
    """Serve an earlier bundle of the registry again; a second rollback goes further back. Exit codes: 0, 3."""
    from model.bundle.pointer import rollback as go_back  # noqa: PLC0415

    entry = go_back(registry, to=to, reason=reason)
    print_json({"registry": str(registry), **entry.model_dump(mode="json", exclude_none=True)})


def _weights(given: Sequence[str]) -> dict[str, float]:
    """Return weights by category code.

    Raises:
        typer.BadParameter: one is not a code with a number from 0 to 1.
    """
    weights = {}
    for one in given:
        code, _, value = one.partition("=")
        try:
            weight = float(value)
        except ValueError:
            weight = -1.0
        if not code or not 0 <= weight <= 1:
            raise typer.BadParameter(f"{one!r}; expected a category and a number from 0 to 1, as M=0.6")
        weights[code] = weight
    return weights
