"""The commands `probes`, which measures, and `probe-rows`, which writes chats to train on."""

from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console

from model import DEFAULT_BUNDLE_PATH, Classifier, available_cpus, load_bundle, load_policy
from training_pipeline.options import PolicyOption, ThreadsOption

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
    policy: PolicyOption = None,
    out: Annotated[Path | None, typer.Option(help="Write the whole document here, JSON.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a report for people here: one HTML file.")] = None,
    threads: ThreadsOption = 0,
    seed: SeedOption = 0,
) -> None:
    """Measure a bundle on own probes: hidden in long messages, mixed, disguised, foreign, or only sounding bad.

    Exit codes: 0, 3.
    """
    from training_pipeline.probes.measure import measure_folder  # noqa: PLC0415  (scikit-learn: seconds of import)
    from training_pipeline.probes.page import print_probes, probes_page  # noqa: PLC0415

    loaded = load_bundle(bundle or DEFAULT_BUNDLE_PATH)
    classifier = Classifier(loaded, load_policy(policy, loaded), n_threads=threads or available_cpus())
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
    out: Annotated[Path, typer.Option(help="File of labelled chats to write, for `train --data`.")],
    folder: ProbesOption = DEFAULT_PROBES,
) -> None:
    """Write the probes' side that may train as labelled chats; the other side stays out of reach. Exit codes: 0, 3."""
    from training_pipeline.probes.probe import read_probes  # noqa: PLC0415
    from training_pipeline.probes.rows import training_rows  # noqa: PLC0415

    rows = list(training_rows(read_probes(folder).of("train")))
    out.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    typer.echo(orjson.dumps({"out": str(out), "n_rows": len(rows)}).decode())
