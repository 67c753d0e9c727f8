"""Commands around the training of a network: the linear stage, students, their report, and the search."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import orjson
import typer
from rich.console import Console
from rich.progress import Progress, track

from model import available_cpus
from schemas import CHAT_13, taxonomy_of
from training_pipeline.options import (
    ConfigOption,
    CpuOption,
    DataOption,
    DevOption,
    DownloadOption,
    EncoderOption,
    LicenceOption,
    SetOption,
    TaxonomyOption,
    ThreadsOption,
    finish,
    parse_fields,
    print_json,
    set_threads,
)
from training_pipeline.train.config import Figure, TrainConfig, build_config

TeacherOption = Annotated[
    list[Path] | None,
    typer.Option(exists=True, file_okay=False, help="Folder of a run, bundle or `train-linear`; may be repeated."),
]
UnlabelledOption = Annotated[
    list[Path] | None, typer.Option(exists=True, dir_okay=False, help="Chats without category; may be repeated.")
]

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)


@app.command(name="train-linear")
def train_linear(
    *,
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    taxonomy: TaxonomyOption = None,
    licence_class: LicenceOption = None,
    solver: Annotated[Literal["logistic", "sgd"], typer.Option(help="sgd is faster and coarser.")] = "logistic",
    regularisation: Annotated[float, typer.Option(min=0.0001, help="Inverse strength, scikit-learn's C.")] = 10.0,
    folds: Annotated[int, typer.Option(min=2, help="Folds for the probabilities out of fold.")] = 5,
    seed: Annotated[int, typer.Option(help="Decides the folds.")] = TrainConfig().seed,
) -> None:
    """Fit the linear n-gram stage, and write what it says of chats that it was not fitted on."""
    from training_pipeline.linear.linear_training import LinearOptions, train_linear  # noqa: PLC0415

    options = LinearOptions(solver=solver, inverse_regularisation=regularisation, n_folds=folds, seed=seed)
    figures = train_linear(
        data,
        out,
        options,
        windowing=TrainConfig().windowing,
        taxonomy=CHAT_13 if taxonomy is None else taxonomy_of(taxonomy),
        licence_classes=frozenset(licence_class or ()),
        watch=lambda parts: track(parts, description="fold", console=Console(stderr=True)),
    )
    print_json({"linear": str(out), "out_of_fold": figures})


@app.command()
def distil(
    *,
    data: DataOption,
    dev: DevOption,
    out: Annotated[Path, typer.Option(help="Folder to write; interrupted work in it is continued.")],
    teacher: TeacherOption = None,
    soft_labels: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Table of `soft-labels`, in place of teachers; needs --start."),
    ] = None,
    unlabelled: UnlabelledOption = None,
    start: Annotated[
        str | None,
        typer.Option(help="Run or encoder whose layers the student takes.", show_default="the first teacher run"),
    ] = None,
    layers: Annotated[str | None, typer.Option(help="The teacher's layers to take, such as 0,2,5.")] = None,
    n_layers: Annotated[
        int | None, typer.Option(min=1, help="Number of layers, spread evenly.", show_default="all")
    ] = None,
    min_token_count: Annotated[
        int | None,
        typer.Option(min=1, help="Cut tokens off that the training texts hold less often.", show_default="keep all"),
    ] = None,
    temperature: Annotated[float, typer.Option(min=0.01, help="Above 1 the teachers' answers become softer.")] = 1.0,
    hard_ratio: Annotated[float, typer.Option(min=0, max=1, help="Weight of the annotators' label.")] = 0.0,
    allow_seen_held_out: Annotated[
        bool, typer.Option("--allow-seen-held-out", help="Hold chats out that teachers have learned from.")
    ] = False,
    taxonomy: TaxonomyOption = None,
    config: ConfigOption = None,
    fields: SetOption = None,
    licence_class: LicenceOption = None,
    cpu: CpuOption = False,
    threads: ThreadsOption = 0,
) -> None:
    """Train a smaller student on its teachers' answers. --data: the teachers' files, in their order."""
    built = build_config(config, {**parse_fields(fields or []), "taxonomy": taxonomy})
    from training_pipeline.distil.distil import DistilRequest  # noqa: PLC0415
    from training_pipeline.distil.distil import distil as run  # noqa: PLC0415
    from training_pipeline.distil.student import StudentShape  # noqa: PLC0415
    from training_pipeline.distil.student_chats import Mixing  # noqa: PLC0415
    from training_pipeline.encoder.files import resolve_encoder  # noqa: PLC0415

    set_threads(threads)
    request = DistilRequest(
        teachers=teacher or (),
        soft_labels=soft_labels,
        data=data,
        dev=dev,
        out=out,
        config=built,
        unlabelled=unlabelled or (),
        start=None if start is None else resolve_encoder(start),
        shape=StudentShape(None if layers is None else _layers(layers), n_layers, min_token_count),
        mixing=Mixing(temperature, hard_ratio),
        licence_classes=frozenset(licence_class or ()),
        allow_seen_held_out=allow_seen_held_out,
        n_threads=threads or available_cpus(),
    )
    finish(run(request, cpu=cpu, progress=_soft_label_progress))


@app.command(name="soft-labels")
def soft_labels(
    *,
    teacher: TeacherOption,
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Table to write, .csv.gz: chat ids and probabilities, no chat text.")],
    work: Annotated[
        Path, typer.Option(help="Folder for answers with the chats; interrupted work in it, or `distil`'s, goes on.")
    ],
    unlabelled: UnlabelledOption = None,
    taxonomy: TaxonomyOption = None,
    config: ConfigOption = None,
    fields: SetOption = None,
    threads: ThreadsOption = 0,
) -> None:
    """Write the teachers' mean soft labels as a table, for `distil --soft-labels` where the teachers are not.

    --data: the teachers' files, in their order. --config, --set: the split, where no teacher is a run.
    """
    from training_pipeline.distil.tabulate import tabulate  # noqa: PLC0415

    if not teacher:
        raise ValueError("no --teacher; expected the folder of a run, a bundle or a linear stage")
    split = build_config(config, {**parse_fields(fields or []), "taxonomy": taxonomy})
    set_threads(threads)
    with _soft_label_progress() as on_progress:
        head = tabulate(
            teacher,
            data,
            unlabelled or (),
            out,
            work=work,
            config=split,
            n_threads=threads or available_cpus(),
            on_progress=on_progress,
        )
    print_json({"soft_labels": str(out), **head.model_dump(mode="json")})


@app.command(name="distil-report")
def distil_report(
    *,
    bundle: Annotated[
        list[Path], typer.Option(exists=True, file_okay=False, help="Bundle; repeated, the one to compare with first.")
    ],
    data: DataOption,
    passes: Annotated[int, typer.Option(min=1, help="Timed passes, bundles in turn.")] = 5,
    policy: Annotated[Path | None, typer.Option(help="Policy file, TOML or JSON.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the rows here too, JSON.")] = None,
    threads: ThreadsOption = 0,
) -> None:
    """Measure teachers and students: quality on labelled chats, and CPU time per chat as served."""
    from training_pipeline.distil import report  # noqa: PLC0415

    rows = report.distil_report(bundle, data, n_threads=threads or available_cpus(), n_passes=passes, policy=policy)
    report.print_distil_report(rows, Console())
    if out is not None:
        out.write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2) + b"\n")
    print_json({"data": [path.name for path in data], "bundles": rows})


@app.command()
def tune(
    *,
    data: DataOption,
    space: Annotated[
        Path,
        typer.Option(exists=True, dir_okay=False, help="`fixed` and `search`ed fields of TrainConfig, YAML."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the search; trials in it count and are continued.")],
    trials: Annotated[int, typer.Option(min=1, help="Finished trials in all.")] = 20,
    chats: Annotated[int, typer.Option(min=0, help="Chats of the subsample; 0 takes all.")] = 3000,
    figure: Annotated[Figure, typer.Option(help="What is to become small.")] = "held_out_nll",
    encoder: EncoderOption = None,
    allow_download: DownloadOption = False,
    licence_class: LicenceOption = None,
    cpu: CpuOption = False,
    threads: ThreadsOption = 0,
) -> None:
    """Search for a configuration; dev chats and chats that a final run holds out are never looked at."""
    from training_pipeline.encoder.files import default_encoder_path, resolve_encoder  # noqa: PLC0415
    from training_pipeline.train import tune as search  # noqa: PLC0415

    set_threads(threads)
    request = search.TuneRequest(
        data=data,
        out=out,
        space=search.read_space(space),
        encoder=default_encoder_path() if encoder is None else resolve_encoder(encoder, allow_download=allow_download),
        n_trials=trials,
        n_chats=chats,
        figure=figure,
        licence_classes=frozenset(licence_class or ()),
        cpu=cpu,
    )
    rows = search.trial_rows(search.tune(request))
    search.print_trials(rows, figure, Console())
    print_json({"figure": figure, "best": str(out / search.BEST_NAME), "trials": rows})


@contextmanager
def _soft_label_progress() -> Iterator[Callable[[int, int], None]]:
    with Progress(console=Console(stderr=True)) as bars:
        task = bars.add_task("soft labels", total=None)
        yield lambda n_done, n_total: bars.update(task, completed=n_done, total=n_total)


def _layers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"--layers {text}: expected numbers by comma, such as 0,2,5") from error
