"""Command line of the training pipeline: from labelled chats to a bundle.

Exit codes: 0 done; 1 unexpected error; 2 wrong usage; 3 the data, the run or the bundle is refused.
"""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console

from model import BundleError, PolicyError, available_cpus, load_bundle
from training_pipeline.data.commands import app as data_app
from training_pipeline.encoder_files import default_encoder_path
from training_pipeline.export import ExportRequest, export_bundle
from training_pipeline.report.commands import app as report_app
from training_pipeline.train_config import TrainConfig, read_config

EXIT_UNEXPECTED: Final = 1
EXIT_REFUSED: Final = 3

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)

DataOption = Annotated[
    list[Path],
    typer.Option("--data", exists=True, dir_okay=False, help="Labelled chats, JSON lines; may be repeated."),
]
RunOption = Annotated[Path, typer.Option("--run", exists=True, file_okay=False, help="Folder that `train` wrote.")]
EpochOption = Annotated[int, typer.Option("--epoch", min=0, help="Checkpoint to use; 0 takes the last planned one.")]
EncoderOption = Annotated[
    Path | None,
    typer.Option("--encoder", help="Folder of the encoder.", show_default="the packaged MiniLM-L6"),
]
ThreadsOption = Annotated[int, typer.Option("--threads", min=0, help="Threads; 0 follows the CPU quota.")]


@app.command()
def train(
    *,
    data: DataOption,
    dev: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Labelled chats, reported on per epoch.")],
    out: Annotated[Path, typer.Option(help="The run's folder; an interrupted run in it is continued.")],
    licence_class: Annotated[
        list[str] | None,
        typer.Option(
            help="Train on chats of this license_class only; may be repeated. The project's own are always kept.",
            show_default="all",
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training chats.")] = TrainConfig().n_epochs,
    seed: Annotated[int, typer.Option(help="Decides the split, the order and the start.")] = TrainConfig().seed,
    encoder: EncoderOption = None,
    threads: ThreadsOption = 0,
) -> None:
    """Fine-tune the encoder, one checkpoint per epoch. Needs the training extra."""
    import torch  # noqa: PLC0415  (seconds of import that no other command needs)

    from training_pipeline.train import run_training  # noqa: PLC0415

    torch.set_num_threads(threads or available_cpus())
    config = TrainConfig(n_epochs=epochs, seed=seed)
    checkpoint = run_training(data, dev, out, config, licence_classes=frozenset(licence_class or ()), encoder=encoder)
    _print_json({"checkpoint": str(checkpoint)})


@app.command()
def calibrate(*, run: RunOption, data: DataOption, encoder: EncoderOption = None, threads: ThreadsOption = 0) -> None:
    """Compare a run's checkpoints on its held-out chats, as they would be served (INT8), without touching a dev set."""
    from training_pipeline.checkpoints import compare_checkpoints, print_checkpoints  # noqa: PLC0415

    rows = compare_checkpoints(run, data, encoder or default_encoder_path(), n_threads=threads or available_cpus())
    print_checkpoints(rows, Console())
    _print_json({"checkpoints": rows})


@app.command()
def export(
    *,
    run: RunOption,
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Bundle folder to write; an existing one is replaced.")],
    name: Annotated[str, typer.Option(help="Name of the bundle.")],
    version: Annotated[str, typer.Option(help="Dotted version of the bundle.")],
    evaluation: Annotated[
        list[Path] | None,
        typer.Option("--evaluate", exists=True, dir_okay=False, help="Labelled chats for the manifest's figures."),
    ] = None,
    epoch: EpochOption = 0,
    encoder: EncoderOption = None,
    threads: ThreadsOption = 0,
) -> None:
    """Quantise and calibrate a checkpoint, measure it, and write a bundle. --data: the run's files, in its order."""
    request = ExportRequest(
        run=run,
        data=data,
        out=out,
        name=name,
        version=version,
        evaluation=evaluation or (),
        epoch=epoch or None,
        encoder=encoder,
        n_threads=threads or available_cpus(),
    )
    metrics = export_bundle(request)
    ref = load_bundle(out).ref
    Console().print(f"wrote {out}: {ref.name} {ref.version}, {ref.digest[:19]}", highlight=False)
    _print_json({"bundle": str(out), "digest": ref.digest, "metrics": metrics})


@app.command(name="quantise-compare")
def quantise_compare(
    *,
    run: RunOption,
    data: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Labelled chats to compare on.")],
    training: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Chats that static schemes observe.")],
    epoch: EpochOption = 0,
    encoder: EncoderOption = None,
    threads: ThreadsOption = 0,
    passes: Annotated[int, typer.Option(min=1, help="Interleaved timing passes.")] = 7,
    chats: Annotated[int, typer.Option(min=1, help="Chats to compare on, from the start of the file.")] = 400,
) -> None:
    """Compare ways to quantise a checkpoint: speed, agreement with float, and dependence on neighbours."""
    from training_pipeline.quantise_compare import compare, print_comparison  # noqa: PLC0415

    rows = compare(
        run,
        epoch or read_config(run).n_epochs,
        encoder or default_encoder_path(),
        data,
        training,
        n_threads=threads or available_cpus(),
        n_passes=passes,
        n_chats=chats,
    )
    print_comparison(rows, Console(width=200))
    _print_json({"schemes": [asdict(row) for row in rows]})


# Registered after the stages above, so that `--help` lists the stages about the model first.
app.add_typer(data_app)
app.add_typer(report_app)


def _print_json(document: object) -> None:
    typer.echo(orjson.dumps(document).decode())


def main() -> None:
    """Run the command; turn refusals into one line and an exit code."""
    try:
        app()
    except (BundleError, PolicyError, ValueError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(EXIT_REFUSED)


if __name__ == "__main__":
    main()
