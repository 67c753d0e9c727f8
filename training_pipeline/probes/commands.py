"""The commands `probes`, which measures, and `probe-rows`, which writes training rows."""

from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console

from model import DEFAULT_BUNDLE_PATH, Classifier, available_cpus, load_bundle, load_policy
from schemas import DEFAULT_POLICY

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)

DEFAULT_PROBES: Final = Path("data/probes")

ProbesOption = Annotated[Path, typer.Option("--probes", exists=True, file_okay=False, help="Folder of the probes.")]
FillerOption = Annotated[
    Path | None,
    typer.Option(
        "--filler",
        exists=True,
        dir_okay=False,
        help="Labelled chats whose safe ones give the filler.",
        show_default="../sample/chats.jsonl beside the probes",
    ),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Decides places, fillers and disguises.")]


@app.command()
def probes(
    *,
    bundle: Annotated[Path | None, typer.Option(help="Bundle folder.", show_default="the shipped bundle")] = None,
    folder: ProbesOption = DEFAULT_PROBES,
    filler: FillerOption = None,
    policy: Annotated[Path | None, typer.Option(help="Policy file, TOML or JSON.", show_default="the default")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the whole document here, JSON.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a report for people here: one HTML file.")] = None,
    threads: Annotated[int, typer.Option("--threads", min=0, help="Threads; 0 follows the CPU quota.")] = 0,
    seed: SeedOption = 0,
) -> None:
    """Measure a bundle on own probes: hidden in long messages, mixed, disguised, foreign, or only sounding bad.

    Exit codes: 0, 3.
    """
    from training_pipeline.probes.measure import measure_folder  # noqa: PLC0415  (scikit-learn: seconds of import)
    from training_pipeline.probes.page import print_probes, probes_page  # noqa: PLC0415

    classifier = Classifier(
        load_bundle(bundle or DEFAULT_BUNDLE_PATH), load_policy(policy), n_threads=threads or available_cpus()
    )
    document = measure_folder(classifier, folder, filler, seed=seed)
    print_probes(document, Console(width=None if Console().is_terminal else 140))
    if out is not None:
        whole = orjson.dumps(document.model_dump(mode="json"), option=orjson.OPT_INDENT_2)
        out.write_bytes(whole + b"\n")
    if html is not None:
        html.write_text(probes_page(document), encoding="utf-8")
    typer.echo(orjson.dumps(document.short()).decode())


@app.command(name="probe-rows")
def probe_rows(
    *,
    data: Annotated[
        list[Path],
        typer.Option("--data", exists=True, dir_okay=False, help="Labelled chats of a run; may be repeated."),
    ],
    out: Annotated[Path, typer.Option(help="File to write: the chats with their folds, and the rows made of them.")],
    folder: ProbesOption = DEFAULT_PROBES,
    filler: FillerOption = None,
    mixtures: Annotated[int, typer.Option(min=0, help="Requests among unrelated safe text.")] = 4_000,
    disguised: Annotated[int, typer.Option(min=0, help="Requests in disguise.")] = 2_000,
    identities: Annotated[int, typer.Option(min=0, help="Pairs of an identity and neutral words.")] = 1_000,
    licence_class: Annotated[
        list[str] | None, typer.Option("--licence-class", help="Chats of this class only.", show_default="all")
    ] = None,
    seed: SeedOption = 0,
) -> None:
    """Write training chats with mixtures, disguises and counterfactual pairs of them. Exit codes: 0, 3."""
    from training_pipeline.labelled_chats import read_labelled_chats  # noqa: PLC0415
    from training_pipeline.probes.filler import filler_beside, read_filler  # noqa: PLC0415
    from training_pipeline.probes.probe import read_probes  # noqa: PLC0415
    from training_pipeline.probes.rows import Amounts, training_rows  # noqa: PLC0415
    from training_pipeline.train_config import TrainConfig  # noqa: PLC0415

    config = TrainConfig(seed=seed)
    chats = read_labelled_chats(data, config.windowing, frozenset(licence_class or ()))
    rows = training_rows(
        chats,
        read_probes(folder).of("train"),
        read_filler(filler or filler_beside(folder), "train"),
        frozenset(code.value for code in DEFAULT_POLICY.banned),
        config=config,
        amounts=Amounts(mixtures, disguised, identities),
    )
    n_rows = 0
    with out.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(row) + b"\n")
            n_rows += 1
    typer.echo(orjson.dumps({"out": str(out), "n_chats": len(chats), "n_rows": n_rows}).decode())
