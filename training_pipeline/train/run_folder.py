"""The folder of a training run: what decides it, its checkpoints, its log, and where it goes on after an interruption.

    config.json, data.json   what decides the run
    encoder/                 the encoder's config.json and tokenizer.json, so that the run can be exported alone, and
                             source.json, where its weights come from
    epoch-N.safetensors      weights after epoch N; optimizer-N.safetensors of the last epoch only
    part.safetensors         an epoch that is under way: weights, moments, how far it has come
    log.jsonl                one line of figures per epoch
    done.json                the last complete epoch
    best.json                the epoch with the best held-out figure so far

Invariant: done.json names an epoch whose files are complete.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from training_pipeline.chats.data_record import DATA_NAME, DataRecord
from training_pipeline.encoder.files import ENCODER_FILES, default_encoder_path
from training_pipeline.encoder.source import recorded_source, source_of, write_source
from training_pipeline.train.config import CONFIG_NAME, TrainConfig, read_config

MARKER_NAME: Final = "done.json"
LOG_NAME: Final = "log.jsonl"
BEST_NAME: Final = "best.json"
ENCODER_FOLDER: Final = "encoder"

_Model = TypeVar("_Model", bound=BaseModel)


class BestEpoch(BaseModel):
    """The epoch that a run's held-out figure prefers; the earlier one where two are equal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    figure: str
    value: float
    n_epochs_done: int


def claim_folder(folder: Path, config: TrainConfig, record: DataRecord, encoder: Path) -> None:
    """Write down what decides the run, and refuse a folder in which another run was begun.

    Raises:
        ValueError: the folder is of a run with another configuration, other chats or another encoder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder / CONFIG_NAME, config)
    _claim(folder / DATA_NAME, record)
    begun = (folder / MARKER_NAME).exists()
    for name in ENCODER_FILES:
        source, kept = encoder / name, folder / ENCODER_FOLDER / name
        if kept.exists() and kept.read_bytes() != source.read_bytes():
            raise ValueError(
                f"{kept}: is of another encoder; continue with that run's --encoder, or name another folder"
            )
        # A run that an earlier version began has no such copy, and nothing to compare with.
        if not kept.exists() and not begun:
            kept.parent.mkdir(exist_ok=True)
            shutil.copyfile(source, kept)
    _claim_source(folder / ENCODER_FOLDER, encoder, begun=begun)


def _claim_source(kept: Path, encoder: Path, *, begun: bool) -> None:
    """Keep where the weights come from: encoders of one family differ in nothing else that a run keeps of them."""
    found, recorded = source_of(encoder), recorded_source(kept)
    if recorded is None:
        if not begun:
            write_source(kept, found)
    elif (recorded.weights_digest, recorded.changes) != (found.weights_digest, found.changes):
        raise ValueError(
            f"{kept}: the run began with {recorded.sentence()}; found {found.sentence()}; continue with that run's "
            "--encoder, or name another folder"
        )


def _claim(path: Path, wanted: _Model) -> None:
    if not path.exists():
        path.write_bytes(orjson.dumps(wanted.model_dump(mode="json"), option=orjson.OPT_INDENT_2))
        return
    # Compared as read, not byte by byte: an earlier version wrote fewer fields, and those had today's defaults.
    try:
        found = type(wanted).model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"{path}: not of this version: {error}; name another folder") from error
    if found != wanted:
        raise ValueError(f"{path}: is of another run; continue with that run's arguments, or name another folder")


def encoder_of(run: Path) -> Path:
    """Return the folder with the configuration and the tokenizer of a run's encoder; the default one's for old runs."""
    kept = run / ENCODER_FOLDER
    return kept if kept.is_dir() else default_encoder_path()


def read_log(folder: Path) -> dict[int, dict[str, Any]]:
    """Return the figures of each logged epoch."""
    path = folder / LOG_NAME
    rows = [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
    return {row["epoch"]: row for row in rows}


def append_log(folder: Path, row: Mapping[str, Any]) -> None:
    """Add one epoch's figures."""
    with (folder / LOG_NAME).open("ab") as out:
        out.write(orjson.dumps(row) + b"\n")


def best_epoch(folder: Path, config: TrainConfig) -> BestEpoch | None:
    """Return the best epoch so far by the configuration's figure; None before the first one."""
    values = {epoch: row[config.early_stopping_figure] for epoch, row in read_log(folder).items()
              if row.get(config.early_stopping_figure) is not None}  # fmt: skip
    if not values:
        return None
    epoch = min(values, key=lambda e: (values[e], e))
    figure = config.early_stopping_figure
    return BestEpoch(epoch=epoch, figure=figure, value=values[epoch], n_epochs_done=max(values))


def record_best(folder: Path, config: TrainConfig) -> None:
    """Write the best epoch so far down."""
    if (best := best_epoch(folder, config)) is not None:
        (folder / BEST_NAME).write_bytes(orjson.dumps(best.model_dump(), option=orjson.OPT_INDENT_2))


def is_stopped(folder: Path, config: TrainConfig) -> bool:
    """Return whether the figure has not improved for as many epochs as the configuration bears."""
    best = best_epoch(folder, config)
    patience = config.early_stopping_patience
    return patience > 0 and best is not None and best.n_epochs_done - best.epoch >= patience


def chosen_epoch(run: Path) -> int:
    """Return the epoch that a run is for: the best one where it may stop early, or else the last planned one."""
    config = read_config(run)
    best = best_epoch(run, config) if config.early_stopping_patience > 0 else None
    return config.n_epochs if best is None else best.epoch


def weights_path(run: Path, epoch: int) -> Path:
    """Return where the weights of an epoch are."""
    return run / f"epoch-{epoch}.safetensors"


def part_path(run: Path) -> Path:
    """Return where the epoch is that is under way."""
    return run / "part.safetensors"


def read_marker(folder: Path) -> dict[str, Any]:
    """Return the last complete epoch with its loss, or epoch 0 before the first one."""
    path = folder / MARKER_NAME
    marker: dict[str, Any] = orjson.loads(path.read_bytes()) if path.exists() else {"epoch": 0}
    return marker


def write_marker(folder: Path, marker: Mapping[str, Any]) -> None:
    """Replace the marker in one step; only after both files of its epoch are complete."""
    path = folder / MARKER_NAME
    path.with_suffix(".new").write_bytes(orjson.dumps(marker))
    path.with_suffix(".new").replace(path)
