"""The commands about classes from descriptions.

Exit codes: 0 done; 1 unexpected error; 2 wrong usage; 3 the classes, their examples or the encoder are refused.
"""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from model import TextClassifier, available_cpus, load_bundle
from model.described.class_names import code_of
from model.described.frozen_encoder import FROZEN_ENCODER_PATH
from training_pipeline.describe.class_options import descriptions_of, examples_in, examples_of
from training_pipeline.describe.sets import DEFAULT_SETS, read_sets
from training_pipeline.options import BundleOutOption, ThreadsOption, print_json

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)

_MOST_NAME_CHARACTERS: Final = 64


SetsOption = Annotated[
    Path,
    typer.Option(
        exists=True,
        file_okay=False,
        help="Folder with taxonomies (NAME.toml) and their texts (NAME.csv).",
        show_default="data/described",
    ),
]


@app.command()
def describe(
    *,
    out: BundleOutOption,
    described: Annotated[
        list[str] | None, typer.Option("--class", help='"NAME: DESCRIPTION" of a class; repeat it for each.')
    ] = None,
    example: Annotated[
        list[str] | None, typer.Option("--example", help='"NAME: TEXT" of a class, described or not; may be repeated.')
    ] = None,
    examples: Annotated[
        list[Path] | None,
        typer.Option(
            "--examples",
            exists=True,
            dir_okay=False,
            help="CSV with columns class (or label, category, message_type) and text (or message, content), or "
            "labelled chats as JSON lines, such as `synthesise` writes; may be repeated.",
        ),
    ] = None,
    ban: Annotated[
        list[str] | None, typer.Option("--ban", help="Class that the default policy bans; may be repeated.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the bundle and its taxonomy.", show_default="the folder's")
    ] = None,
    version: Annotated[str, typer.Option(help="Dotted version of both.")] = "1.0.0",
    threads: ThreadsOption = 0,
) -> None:
    """Make a bundle of classes that are described in words; works offline, without labels."""
    classifier = TextClassifier.from_descriptions(
        descriptions_of(described or []),
        name=name or code_of(out.resolve().name)[:_MOST_NAME_CHARACTERS],
        version=version,
        banned=ban or [],
        n_threads=threads,
    )
    given = [*examples_of(example or []), *(row for path in examples or [] for row in examples_in(path))]
    for class_name, text in given:
        classifier.add_examples(class_name, text)
    classifier.save(out)
    bundle = load_bundle(out)
    table = Table("class", "code", "described", "examples")
    counts = {one: len({text for class_name, text in given if class_name == one}) for one in classifier.classes}
    for category in bundle.taxonomy.categories:
        row = category.name, category.code, "yes" if category.description else "no", str(counts[category.name])
        table.add_row(*map(escape, row))
    console = Console()
    console.print(table)
    console.print(f"wrote {out}: {bundle.ref.name} {bundle.ref.version}, {bundle.digest[:19]}", highlight=False)
    console.print("Not calibrated: the probabilities rank the classes, and a policy that bans a class allows nothing.")
    print_json({"bundle": str(out), "digest": bundle.digest, "codes": list(bundle.taxonomy.codes), "examples": counts})


@app.command()
def freeze_encoder(
    *,
    encoder: Annotated[
        str, typer.Option("--encoder", help="minilm-l6, bge-small, e5-small, a hub id, or a folder.")
    ] = "bge-small",
    pooling: Annotated[str, typer.Option(help="mean or cls: how token vectors become one.")] = "mean",
    out: Annotated[
        Path, typer.Option("--out", help="Folder to write.", show_default="the package's own")
    ] = FROZEN_ENCODER_PATH,
    sets: SetsOption = DEFAULT_SETS,
    threads: ThreadsOption = 0,
) -> None:
    """Quantise the sentence encoder that ships with the package; bundles of `describe` then must be made again."""
    from training_pipeline.describe.freeze import freeze_encoder as freeze  # noqa: PLC0415  (onnx)
    from training_pipeline.describe.freeze import pooling_named  # noqa: PLC0415
    from training_pipeline.encoder.files import resolve_encoder  # noqa: PLC0415

    frozen = freeze(
        resolve_encoder(encoder),
        out,
        sets=read_sets(sets),
        pooling=pooling_named(pooling),
        n_threads=threads or available_cpus(),
    )
    print_json({"encoder": str(out), "name": frozen.manifest.name, "digest": frozen.digest})


@app.command()
def compare_descriptions(
    *,
    sets: SetsOption = DEFAULT_SETS,
    examples: Annotated[int, typer.Option(min=1, help="Examples a class, at most half of its texts.")] = 10,
    draws: Annotated[int, typer.Option(min=1, help="Draws of the examples; figures are their means.")] = 5,
    threads: ThreadsOption = 0,
) -> None:
    """Compare what `describe` makes with cosine similarity and with a plain ridge regression, on labelled sets."""
    from training_pipeline.describe.compare import compare, print_comparison  # noqa: PLC0415

    found = compare(read_sets(sets), n_examples=examples, n_draws=draws, n_threads=threads or available_cpus())
    print_comparison(found, Console())
    print_json({"sets": found})
