"""Options that several commands share, and what the training ones do before and after their work."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from model import available_cpus, load_bundle
from model.bundle.thresholds import calibration_size
from training_pipeline.train.config import nested_fields

DataOption = Annotated[
    list[Path],
    typer.Option("--data", exists=True, dir_okay=False, help="Labelled chats, JSON lines; may be repeated."),
]
DevOption = Annotated[
    Path, typer.Option("--dev", exists=True, dir_okay=False, help="Labelled chats, reported on only.")
]
LicenceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--licence-class",
        help="Train on chats of this license_class only; may be repeated. The project's own are always kept.",
        show_default="all",
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", exists=True, dir_okay=False, help="Fields of TrainConfig, YAML or TOML; flags go before it."
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any field, NAME=VALUE with dots inside NAME, such as windowing.max_tokens=256."),
]
EncoderOption = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        help="minilm-l6, bge-small, e5-small, e5-small-query, a hub id, or a folder.",
        show_default="minilm-l6",
    ),
]
DownloadOption = Annotated[bool, typer.Option("--allow-download", help="Fetch --encoder from the hub.")]
ThreadsOption = Annotated[int, typer.Option("--threads", min=0, help="Threads; 0 follows the CPU quota.")]
PolicyOption = Annotated[
    Path | None, typer.Option(help="Policy file, TOML or JSON.", show_default="the bundle's default policy")
]
TaxonomyOption = Annotated[
    str | None,
    typer.Option(
        "--taxonomy", help="A shipped taxonomy's name, or a TOML file.", show_default="the bundle's, or chat-13"
    ),
]
BundleOutOption = Annotated[Path, typer.Option("--out", help="Bundle folder to write; an existing one is replaced.")]
EvaluationOption = Annotated[
    list[Path] | None,
    typer.Option("--evaluate", exists=True, dir_okay=False, help="Labelled chats for the manifest's figures."),
]
ManifestProbesOption = Annotated[
    Path | None, typer.Option(exists=True, file_okay=False, help="Folder of probes for the manifest and the card.")
]
CpuOption = Annotated[bool, typer.Option("--cpu", help="Use the CPU even where there is a GPU.")]


def parse_fields(assignments: list[str]) -> dict[str, Any]:
    """Return fields from NAME=VALUE lines; a dot in the name goes one level down, the value is read as YAML.

    Raises:
        ValueError: a line has no name or no value.
    """
    import yaml  # noqa: PLC0415  (of the training extra, which the data stages do not need)

    fields: dict[str, Any] = {}
    for assignment in assignments:
        name, found, value = assignment.partition("=")
        if not (name and found):
            raise ValueError(f"--set {assignment}: expected NAME=VALUE")
        fields[name] = yaml.safe_load(value)
    return nested_fields(fields)


def flags_given(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags that were given."""
    return {name: value for name, value in flags.items() if value is not None}


def set_threads(threads: int) -> None:
    """Give torch its threads: as many as asked, or this process's share of the CPU quota."""
    import torch  # noqa: PLC0415  (seconds of import that `--help` must not wait for)

    n_here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(threads or max(1, available_cpus() // n_here))


def print_json(document: object) -> None:
    """Print the JSON line, the last one of a command, for machines."""
    typer.echo(orjson.dumps(document).decode())


def print_bundle(out: Path, metrics: Mapping[str, Any]) -> None:
    """Say which bundle was written, what it lacks and what it can decide, and print the JSON line."""
    bundle = load_bundle(out)
    ref, policy, console = bundle.ref, bundle.default_policy, Console()
    console.print(f"wrote {out}: {ref.name} {ref.version}, {ref.digest[:19]}", highlight=False)
    sentences = calibration_size(bundle.risk_curves(policy), policy).sentences()
    for sentence in [*metrics.get("left_out", {}).values(), *sentences]:
        console.print(sentence, highlight=False, markup=False)
    print_json({"bundle": str(out), "digest": ref.digest, "metrics": metrics})


def finish(document: dict[str, Any]) -> None:
    """Print the JSON line of the main process, and leave the group of processes."""
    from accelerate.state import PartialState  # noqa: PLC0415  (imports torch)

    state = PartialState()
    if state.is_main_process:
        print_json(document)
    state.destroy_process_group()
