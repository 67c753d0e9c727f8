"""The commands of the training pipeline: from labelled chats to a bundle.

Exit codes: 0 done; 1 unexpected error; 2 wrong usage; 3 the data, the run or the bundle is refused.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from model import available_cpus
from model.evidence.pieces import FEW_PIECES
from training_pipeline.bundle.scaling_fit import ScalingKind
from training_pipeline.data.commands import app as data_app
from training_pipeline.describe.commands import app as describe_app
from training_pipeline.distil.commands import app as distil_app
from training_pipeline.encoder.files import resolve_encoder
from training_pipeline.feedback.commands import app as feedback_app
from training_pipeline.languages.files import DEFAULT_LANGUAGES
from training_pipeline.options import (
    BundleOutOption,
    DataOption,
    EvaluationOption,
    ManifestProbesOption,
    ThreadsOption,
    print_bundle,
    print_json,
)
from training_pipeline.probes.commands import app as probes_app
from training_pipeline.recipe.commands import app as recipe_app
from training_pipeline.release.commands import app as release_app
from training_pipeline.report.commands import app as report_app
from training_pipeline.synthesise.commands import app as synthesise_app
from training_pipeline.train.commands import app as train_app
from training_pipeline.train.run_folder import encoder_of

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)

app.add_typer(train_app)
app.add_typer(distil_app)

RunOption = Annotated[Path, typer.Option("--run", exists=True, file_okay=False, help="Folder that `train` wrote.")]
EpochOption = Annotated[
    int, typer.Option("--epoch", min=0, help="Checkpoint to use; 0 takes the run's choice, see best.json.")
]
EncoderOption = Annotated[
    str | None,
    typer.Option("--encoder", help="Encoder of the run, as of `train`.", show_default="the run's own"),
]


@app.command()
def calibrate(*, run: RunOption, data: DataOption, encoder: EncoderOption = None, threads: ThreadsOption = 0) -> None:
    """Compare a run's checkpoints on its held-out chats, as they would be served (INT8), without touching a dev set."""
    from training_pipeline.train.checkpoints import compare_checkpoints, print_checkpoints  # noqa: PLC0415

    rows = compare_checkpoints(run, data, _encoder(encoder) or encoder_of(run), n_threads=threads or available_cpus())
    print_checkpoints(rows, Console())
    print_json({"checkpoints": rows})


@app.command()
def export(
    *,
    run: RunOption,
    data: DataOption,
    out: BundleOutOption,
    name: Annotated[str, typer.Option(help="Name of the bundle.")],
    version: Annotated[str, typer.Option(help="Dotted version of the bundle.")],
    policy: Annotated[
        Path | None,
        typer.Option(help="Policy file, the bundle's default policy.", show_default="what the taxonomy bans"),
    ] = None,
    evaluation: EvaluationOption = None,
    probes: ManifestProbesOption = None,
    epoch: EpochOption = 0,
    encoder: EncoderOption = None,
    scaling: Annotated[
        ScalingKind, typer.Option(help="What calibrates the logits; auto decides by cross-validated likelihood.")
    ] = ScalingKind.AUTO,
    first_stage: Annotated[
        bool, typer.Option("--first-stage/--no-first-stage", help="A first stage that answers what is easy.")
    ] = True,
    early_exits: Annotated[
        bool, typer.Option("--early-exits/--no-early-exits", help="Exits between the transformer's layers.")
    ] = True,
    blend_weight: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Of the first stage's logits beside the transformer's.", show_default="fitted"),
    ] = None,
    first_stage_precision: Annotated[
        float, typer.Option(min=0.5, max=1, help="Share of right answers among those the first stage gives alone.")
    ] = 0.96,
    exit_confidence: Annotated[
        float, typer.Option(min=0, max=1, help="A row leaves early from this probability of its category on.")
    ] = 0.8,
    pieces: Annotated[
        bool, typer.Option("--pieces/--no-pieces", help="Read whole messages and chats, in pieces.")
    ] = True,
    threads: ThreadsOption = 0,
) -> None:
    """Quantise and calibrate a checkpoint, measure it, and write a bundle. --data: the run's files, in its order."""
    from training_pipeline.bundle.export import ExportRequest, export_bundle  # noqa: PLC0415
    from training_pipeline.cascade.early_exit_fit import EarlyExitOptions  # noqa: PLC0415
    from training_pipeline.cascade.first_stage_fit import FirstStageOptions  # noqa: PLC0415
    from training_pipeline.graph.parity import print_parity  # noqa: PLC0415

    request = ExportRequest(
        run=run,
        data=data,
        out=out,
        name=name,
        version=version,
        policy=policy,
        evaluation=evaluation or (),
        probes=probes,
        epoch=epoch or None,
        encoder=_encoder(encoder),
        n_threads=threads or available_cpus(),
        scaling=scaling,
        first_stage=FirstStageOptions(exit_precision=first_stage_precision, blend_weight=blend_weight)
        if first_stage
        else None,
        early_exits=EarlyExitOptions(confidence=exit_confidence) if early_exits else None,
        pieces=FEW_PIECES if pieces else None,
        languages=DEFAULT_LANGUAGES if pieces else None,
    )
    metrics = export_bundle(request)
    print_parity(metrics["parity"], Console(width=140))
    print_bundle(out, metrics)


app.add_typer(release_app)
app.add_typer(recipe_app)
# Registered after the stages above, so that `--help` lists the stages about the model first.
app.add_typer(data_app)
app.add_typer(feedback_app)
app.add_typer(synthesise_app)
app.add_typer(describe_app)
app.add_typer(report_app)
app.add_typer(probes_app)


def _encoder(name: str | None) -> Path | None:
    return None if name is None else resolve_encoder(name)
