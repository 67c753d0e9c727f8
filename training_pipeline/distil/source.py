"""Where a student's soft labels come from: teachers that are here, or a table of what teachers said elsewhere.

Invariant: either way it is known which labelled chats no teacher's run has learned from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training_pipeline.chats.data_record import DATA_NAME
from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.chats.split import split_chats
from training_pipeline.chats.usable import usable_chats
from training_pipeline.distil.soft_label_table import TeacherName, read_table
from training_pipeline.distil.soft_labels import Answers
from training_pipeline.distil.teachers import TeacherAnswers, is_known_of_all, load_teacher, unseen_by_all
from training_pipeline.train.config import TrainConfig, read_config


@dataclass(frozen=True)
class Source:
    """Soft labels and what is known of their teachers."""

    teachers: list[TeacherName]
    answers: Answers
    unseen: frozenset[str]
    """Ids of labelled chats that no run among the teachers learned from."""
    unseen_known: bool
    """Whether that holds of every teacher; what a bundle learned from is not known."""


def from_teachers(
    paths: Sequence[Path],
    data: Sequence[Path],
    config: TrainConfig,
    *,
    licence_classes: frozenset[str] = frozenset(),
    n_threads: int = 1,
) -> Source:
    """Load teachers.

    Where no run is among them, unseen are the chats that the student's own split holds out: with the seed and the ratio
    of a teacher's run these are the ones that it has not learned from either.

    Args:
        paths: Folders of runs, bundles or linear stages.
        data: Labelled chats; the files of the teachers' runs, in their order.
        config: The student's.
        licence_classes: Of the student's chats; empty takes all.
        n_threads: Inference threads.

    Raises:
        ValueError: a folder is no teacher, or a run was trained on other chats.
    """
    teachers = [load_teacher(path, data, config.taxonomy, n_threads=n_threads) for path in paths]
    unseen = unseen_by_all(teachers)
    if unseen is None:
        chats = usable_chats(read_labelled_chats(data, config.windowing, licence_classes, config.taxonomy))
        _, held_out = split_chats(chats, config)
        unseen = frozenset(chats.chat_ids[i] for i in held_out)
    names = [TeacherName(name=path.name, digest=one.digest) for path, one in zip(paths, teachers, strict=True)]
    return Source(names, TeacherAnswers(teachers), unseen, is_known_of_all(teachers))


def from_table(path: Path, config: TrainConfig) -> Source:
    """Read a table of soft labels.

    Raises:
        ValueError: it is none, or the student's split is not the one under which its teachers held chats out.
    """
    table = read_table(path).check_split(config)
    return Source(table.head.teachers, table, table.held_out, table.head.held_out_known)


def split_of_runs(paths: Sequence[Path], config: TrainConfig) -> TrainConfig:
    """Return the configuration whose split the teachers' runs have; the given one where no run is among them.

    Raises:
        ValueError: two runs have different splits, so that a table could not name one.
    """
    runs = [read_config(path) for path in paths if (path / DATA_NAME).is_file()]
    splits = {(run.seed_of_split, run.calibration_ratio) for run in runs}
    if len(splits) > 1:
        raise ValueError(
            f"the teachers' runs hold chats out by (split_seed, calibration_ratio) {sorted(splits)}; expected one: "
            "train them with the same two values"
        )
    return runs[0] if runs else config
