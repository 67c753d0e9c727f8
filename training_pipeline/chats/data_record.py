"""Which chats a run was trained on: digests, counts and licence classes, without the texts.

Invariant: calibration chats are held out of training only if `export` reads the very files that `train` read, in the
same order; so `train` records their digests, and `read_recorded_chats` refuses any others.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from model.bundle.files import sha256_of
from training_pipeline.chats.labelled_chats import LabelledChats, read_labelled_chats
from training_pipeline.chats.usable import usable_chats
from training_pipeline.train.config import TrainConfig

DATA_NAME: Final = "data.json"


class DataFile(BaseModel):
    """One file of labelled chats."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    digest: str


class DataRecord(BaseModel):
    """The chats of a run, those held out for calibration included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: list[DataFile]
    licence_filter: list[str]
    """Licence classes that were asked for; empty: all."""
    n_chats: int
    chat_ids_digest: str
    """Of the ids of all chats that were kept, in order: the split rests on them."""
    n_chats_by_licence_class: dict[str, int]
    n_chats_by_source: dict[str, int]
    n_rejected_by_reason: dict[str, int]


def record_data(paths: Sequence[Path], chats: LabelledChats, licence_classes: frozenset[str]) -> DataRecord:
    """Describe the chats that were read from these files."""
    return DataRecord(
        files=_files(paths),
        licence_filter=sorted(licence_classes),
        n_chats=len(chats),
        chat_ids_digest=_chat_ids_digest(chats),
        n_chats_by_licence_class=_counts(chats.licence_classes),
        n_chats_by_source=_counts(chats.sources),
        n_rejected_by_reason=dict(sorted(chats.rejected.items())),
    )


def read_data_record(run: Path) -> DataRecord:
    """Read the record that `train` left in a run's folder.

    Raises:
        ValueError: there is none, or it is not one of this version.
    """
    path = run / DATA_NAME
    try:
        return DataRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); expected the folder of a `train` run") from error
    except ValidationError as error:
        raise ValueError(f"{path}: not a data record of this version: {error}") from error


def read_recorded_chats(run: Path, paths: Sequence[Path], config: TrainConfig) -> tuple[DataRecord, LabelledChats]:
    """Read a run's chats again, and refuse files that it was not trained on.

    Raises:
        ValueError: the files are not those of the run, or not in its order.
    """
    record = read_data_record(run)
    found = _files(paths)
    if [file.digest for file in found] != [file.digest for file in record.files]:
        raise ValueError(
            f"--data: found {_named(found)}; {run / DATA_NAME} says {_named(record.files)}; name the files of that "
            "training run in the same order, or chats it was trained on would pass as held out"
        )
    found_chats = read_labelled_chats(paths, config.windowing, frozenset(record.licence_filter), config.taxonomy)
    chats = usable_chats(found_chats)
    if _chat_ids_digest(chats) != record.chat_ids_digest:
        raise ValueError(
            f"--data: {len(chats)} chats are accepted, {run / DATA_NAME} says {record.n_chats} or others: the codec "
            "has changed since that run, so its held-out chats cannot be told from the others; train again"
        )
    return record, chats


def _chat_ids_digest(chats: LabelledChats) -> str:
    return sha256_of("\n".join(chats.chat_ids).encode())


def _files(paths: Sequence[Path]) -> list[DataFile]:
    return [DataFile(name=path.name, digest=sha256_of(path.read_bytes())) for path in paths]


def _named(files: Sequence[DataFile]) -> str:
    return ", ".join(f"{file.name} ({file.digest[:19]})" for file in files)


def _counts(values: Sequence[str]) -> dict[str, int]:
    """Count values, most frequent first, then by name."""
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))
