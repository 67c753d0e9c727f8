"""The command `probes`."""

from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console

from model import DEFAULT_BUNDLE_PATH, Classifier, available_cpus, load_bundle, load_policy

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)

DEFAULT_PROBES: Final = Path("data/probes")
DEFAULT_FILLER: Final = Path("data/sample/chats.jsonl")

ProbesOption = Annotated[Path, typer.Option("--probes", exists=True, file_okay=False, help="Folder of the probes.")]
FillerOption = Annotated[
    Path, typer.Option("--filler", exists=True, dir_okay=False, help="Labelled chats whose safe ones give the filler.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="Decides places, fillers and disguises.")]


@app.command()
def probes(
    *,
    bundle: Annotated[Path | None, typer.Option(help="Bundle folder.", show_default="the shipped bundle")] = None,
    folder: ProbesOption = DEFAULT_PROBES,
    filler: FillerOption = DEFAULT_FILLER,
    policy: Annotated[Path | None, typer.Option(help="Policy file, TOML or JSON.", show_default="the default")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the whole document here, JSON.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a report for people here: one HTML file.")] = None,
    threads: Annotated[int, typer.Option("--threads", min=0, help="Threads; 0 follows the CPU quota.")] = 0,
    seed: SeedOption = 0,
) -> None:
    """Measure a bundle on own probes: hidden in long messages, mixed, disguised, foreign, or only sounding bad.

    Exit codes: 0, 3.
    """
    from training_pipeline.probes.filler import read_filler  # noqa: PLC0415  (scikit-learn: seconds of import)
    from training_pipeline.probes.measure import measure_probes  # noqa: PLC0415
    from training_pipeline.probes.page import print_probes, probes_page  # noqa: PLC0415
    from training_pipeline.probes.probe import read_probes  # noqa: PLC0415

    classifier = Classifier(
        load_bundle(bundle or DEFAULT_BUNDLE_PATH), load_policy(policy), n_threads=threads or available_cpus()
    )
    document = measure_probes(
        classifier, read_probes(folder).of("measure"), read_filler(filler, "measure"), split="measure", seed=seed
    )
    print_probes(document, Console(width=None if Console().is_terminal else 140))
    whole = document.model_dump(mode="json")
    if out is not None:
        out.write_bytes(orjson.dumps(whole, option=orjson.OPT_INDENT_2) + b"\n")
    if html is not None:
        html.write_text(probes_page(document), encoding="utf-8")
    short = {name: value for name, value in whole.items() if name != "gaps"}
    short["tables"] = [table for table in whole["tables"] if table["axis"] == "all"]
    short["gaps"] = [{name: value for name, value in gap.items() if name != "rows"} for gap in whole["gaps"]]
    typer.echo(orjson.dumps(short).decode())
