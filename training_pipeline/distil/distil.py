"""From teachers to a student's run: soft labels, the student's chats and encoder, and its training.

    soft-labels.jsonl (.report.json, .rejects.jsonl)   the teachers' answers, asked for or out of a table
    student.jsonl                                      what the student learns from
    student-encoder/                                   what it starts from
    run/                                               its training run; export it with `export --data student.jsonl`
    distil.json                                        what all of that was made of

Every part is resumed or skipped where it is done already.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.chats.split import split_chats
from training_pipeline.distil.layout import CHATS_NAME, RECORD_NAME, RUN_NAME, SOFT_LABELS_NAME, STUDENT_NAME
from training_pipeline.distil.soft_labels import OnProgress, write_soft_labels
from training_pipeline.distil.source import Source, from_table, from_teachers
from training_pipeline.distil.student import StudentShape, write_student
from training_pipeline.distil.student_chats import Mixing, write_student_chats
from training_pipeline.train.config import TrainConfig
from training_pipeline.train.train import run_training


@dataclass(frozen=True)
class DistilRequest:
    """What to distil from what."""

    teachers: Sequence[Path]
    """Folders of runs, bundles or linear stages; none where `soft_labels` stand for them."""
    data: Sequence[Path]
    """Labelled chats; the files of the teachers' runs, in their order."""
    dev: Path | None
    out: Path
    config: TrainConfig
    soft_labels: Path | None = None
    """Table of what the teachers said, see `soft_label_table`; in place of teachers."""
    unlabelled: Sequence[Path] = ()
    start: Path | None = None
    """Run or encoder whose layers the student starts from; the first run among the teachers where None."""
    shape: StudentShape = field(default_factory=StudentShape)
    mixing: Mixing = field(default_factory=Mixing)
    licence_classes: frozenset[str] = frozenset()
    allow_seen_held_out: bool = False
    n_threads: int = 1


def distil(
    request: DistilRequest,
    *,
    cpu: bool = False,
    progress: Callable[[], AbstractContextManager[OnProgress | None]] = nullcontext,
) -> dict[str, Any]:
    """Make the student and return where it is and what it was made of.

    Args:
        request: What to distil from what.
        cpu: Train on the CPU even where there is a GPU.
        progress: Opens a display of how far the teachers' answers are; closed before training opens its own.

    Raises:
        ValueError: teachers, chats and options do not fit together; says how.
    """
    out, config = request.out, request.config
    out.mkdir(parents=True, exist_ok=True)
    source = _source(request)
    start = request.start or _first_run(request.teachers)
    with progress() as on_progress:
        labels = write_soft_labels(
            [*request.data, *request.unlabelled],
            out / SOFT_LABELS_NAME,
            source.answers,
            taxonomy=config.taxonomy,
            licence_classes=request.licence_classes,
            on_progress=on_progress,
        )
    counts = write_student_chats(
        out / SOFT_LABELS_NAME,
        out / CHATS_NAME,
        request.mixing,
        config,
        unseen=source.unseen,
        allow_seen=request.allow_seen_held_out,
    )
    counts["held_out_unseen_by_teachers"] &= source.unseen_known
    chats = read_labelled_chats([out / CHATS_NAME], config.windowing, frozenset(), config.taxonomy)
    learned, _ = split_chats(chats, config)
    student = write_student(
        start,
        out / STUDENT_NAME,
        request.shape,
        chats.take(learned).texts,
        max_tokens=config.windowing.max_tokens,
    )
    record = {
        "teachers": [teacher.model_dump() for teacher in source.teachers],
        "soft_labels": labels.model_dump(mode="json"),
        "mixing": vars(request.mixing),
        "chats": counts,
        "student": student,
    }
    (out / RECORD_NAME).write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2))
    checkpoint = run_training(
        [out / CHATS_NAME], request.dev, out / RUN_NAME, config, encoder=out / STUDENT_NAME, cpu=cpu
    )
    return {"checkpoint": str(checkpoint), "data": str(out / CHATS_NAME), "chats": counts, "student": student}


def _source(request: DistilRequest) -> Source:
    if bool(request.teachers) == (request.soft_labels is not None):
        raise ValueError("found teachers and soft labels, or neither; expected --teacher or --soft-labels")
    if request.soft_labels is not None:
        return from_table(request.soft_labels, request.config)
    return from_teachers(
        request.teachers,
        request.data,
        request.config,
        licence_classes=request.licence_classes,
        n_threads=request.n_threads,
    )


def _first_run(teachers: Sequence[Path]) -> Path:
    run = next((path for path in teachers if (path / "data.json").is_file()), None)
    if run is None:
        raise ValueError("no teacher is a run; expected --start, a run or an encoder whose layers the student takes")
    return run
