"""The command that trains a network.

Exit codes: 0 done; 1 unexpected error; 2 wrong usage; 3 the data, the run or the options are refused.
"""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Final

import typer

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
    flags_given,
    parse_fields,
    set_threads,
)
from training_pipeline.train.config import TrainConfig, build_config

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)

_DEFAULTS: Final = TrainConfig()


def _number(name: str, text: str, *, default: object) -> Any:
    return typer.Option(name, help=text, show_default=str(default))


@app.command()
def train(
    *,
    data: DataOption,
    dev: DevOption,
    out: Annotated[Path, typer.Option(help="The run's folder; an interrupted run in it is continued.")],
    taxonomy: TaxonomyOption = None,
    config: ConfigOption = None,
    fields: SetOption = None,
    licence_class: LicenceOption = None,
    encoder: EncoderOption = None,
    allow_download: DownloadOption = False,
    epochs: Annotated[int | None, _number("--epochs", "Passes over the chats.", default=_DEFAULTS.n_epochs)] = None,
    batch_rows: Annotated[
        int | None, _number("--batch-rows", "Chats per step, over all processes.", default=_DEFAULTS.batch_rows)
    ] = None,
    gradient_accumulation: Annotated[
        int | None, _number("--gradient-accumulation", "Parts of a step, to save memory.", default=1)
    ] = None,
    encoder_lr: Annotated[
        float | None, _number("--encoder-lr", "Peak learning rate of the encoder.", default=_DEFAULTS.encoder_lr)
    ] = None,
    head_lr: Annotated[
        float | None, _number("--head-lr", "Peak learning rate of the linear layer.", default=_DEFAULTS.head_lr)
    ] = None,
    bf16: Annotated[bool | None, typer.Option("--bf16/--no-bf16", help="Autocast to bfloat16.")] = None,
    fp16: Annotated[bool | None, typer.Option("--fp16/--no-fp16", help="Autocast to float16; GPU only.")] = None,
    pooling: Annotated[str | None, _number("--pooling", "mean or cls.", default=_DEFAULTS.pooling)] = None,
    hard_label_ratio: Annotated[
        float | None, _number("--hard-label-ratio", "Weight of the category beside the soft label.", default=0)
    ] = None,
    label_temperature: Annotated[
        float | None, _number("--label-temperature", "Above 1 soft labels become softer.", default=1)
    ] = None,
    label_smoothing: Annotated[
        float | None, _number("--label-smoothing", "Share given to all categories.", default=_DEFAULTS.label_smoothing)
    ] = None,
    class_weights: Annotated[
        str | None, _number("--class-weights", "none or balanced; given ones: --set.", default="none")
    ] = None,
    banned_group_weight: Annotated[
        float | None, _number("--banned-group-weight", "Weight of banned against safe.", default=0)
    ] = None,
    banned_to_safe_cost: Annotated[
        float | None, _number("--banned-to-safe-cost", "Expected cost of banned classified as safe.", default=0)
    ] = None,
    safe_to_banned_cost: Annotated[
        float | None, _number("--safe-to-banned-cost", "Expected cost of safe classified as banned.", default=0)
    ] = None,
    evasion_ratio: Annotated[
        float | None, _number("--evasion-ratio", "Share of the chats disguised in each epoch.", default=0)
    ] = None,
    patience: Annotated[
        int | None, _number("--patience", "Epochs without a better held-out figure; 0: never stop.", default=0)
    ] = None,
    seed: Annotated[int | None, _number("--seed", "Decides split, order and start.", default=_DEFAULTS.seed)] = None,
    split_seed: Annotated[int | None, _number("--split-seed", "Decides the split.", default="the seed")] = None,
    emissions: Annotated[
        str | None,
        typer.Option(
            help="Measure energy and CO2 with this country's power mix, such as DEU; no network.", metavar="ISO3"
        ),
    ] = None,
    cpu: CpuOption = False,
    threads: ThreadsOption = 0,
) -> None:
    """Fine-tune an encoder, one checkpoint per epoch. Needs the training extra.

    Several GPUs: `accelerate launch -m training_pipeline train …`.
    """
    flags = {
        "taxonomy": taxonomy,
        "n_epochs": epochs,
        "batch_rows": batch_rows,
        "gradient_accumulation": gradient_accumulation,
        "encoder_lr": encoder_lr,
        "head_lr": head_lr,
        "bf16": bf16,
        "fp16": fp16,
        "pooling": pooling,
        "hard_label_ratio": hard_label_ratio,
        "label_temperature": label_temperature,
        "label_smoothing": label_smoothing,
        "class_weights": class_weights,
        "banned_group_weight": banned_group_weight,
        "banned_to_safe_cost": banned_to_safe_cost,
        "safe_to_banned_cost": safe_to_banned_cost,
        "evasion_ratio": evasion_ratio,
        "early_stopping_patience": patience,
        "seed": seed,
        "split_seed": split_seed,
    }
    built = build_config(config, {**parse_fields(fields or []), **flags_given(flags)})
    from training_pipeline.encoder.files import resolve_encoder  # noqa: PLC0415  (torch takes seconds to import)
    from training_pipeline.train.emissions import emissions_summary, measured_emissions  # noqa: PLC0415
    from training_pipeline.train.run_folder import read_log  # noqa: PLC0415
    from training_pipeline.train.train import run_training  # noqa: PLC0415

    set_threads(threads)
    # One meter for all processes of this machine: it reads the machine's power.
    country = emissions if os.environ.get("LOCAL_RANK", "0") == "0" else None
    with nullcontext() if country is None else measured_emissions(out, country):
        checkpoint = run_training(
            data,
            dev,
            out,
            built,
            licence_classes=frozenset(licence_class or ()),
            encoder=None if encoder is None else resolve_encoder(encoder, allow_download=allow_download),
            cpu=cpu,
        )
    epoch = int(checkpoint.stem.rpartition("-")[2])
    log = read_log(out)
    figures = {"checkpoint": str(checkpoint), "epoch": epoch, "n_epochs_done": len(log), **log[epoch]}
    finish(figures | emissions_summary(out))
