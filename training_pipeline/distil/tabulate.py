"""Ask teachers about labelled and unlabelled chats, and write what they say as a table without chat text."""

from collections.abc import Sequence
from pathlib import Path

import orjson

from training_pipeline.distil.layout import SOFT_LABELS_NAME
from training_pipeline.distil.soft_label_table import TableHead, write_table
from training_pipeline.distil.soft_labels import OnProgress, write_soft_labels
from training_pipeline.distil.source import from_teachers, split_of_runs
from training_pipeline.train.config import TrainConfig


def tabulate(
    teachers: Sequence[Path],
    data: Sequence[Path],
    unlabelled: Sequence[Path],
    out: Path,
    *,
    work: Path,
    config: TrainConfig,
    n_threads: int = 1,
    on_progress: OnProgress | None = None,
) -> TableHead:
    """Write the table and return its first line.

    Args:
        teachers: Folders of runs, bundles or linear stages.
        data: Labelled chats; the files of the teachers' runs, in their order.
        unlabelled: Further chats.
        out: Table to write, `.csv.gz`.
        work: Folder for the answers with the chats. Those that an interrupted call left are taken up, and so are those
            of a `distil` of the same chats and teachers.
        config: Its split says what is held out, where no teacher is a run.
        n_threads: Inference threads.
        on_progress: Called with how many lines are done and how many there are.

    Raises:
        ValueError: teachers and chats do not fit together; says how.
    """
    split = split_of_runs(teachers, config)
    source = from_teachers(teachers, data, split, n_threads=n_threads)
    answers = work / SOFT_LABELS_NAME
    write_soft_labels([*data, *unlabelled], answers, source.answers, taxonomy=split.taxonomy, on_progress=on_progress)
    with answers.open("rb") as lines:
        return write_table(
            (orjson.loads(line) for line in lines),
            out,
            source.teachers,
            split,
            unseen=source.unseen,
            held_out_known=source.unseen_known,
        )
