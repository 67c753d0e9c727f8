"""From teachers to a student's run: soft labels, the student's chats and encoder, and its training.

    soft-labels.jsonl (.report.json, .rejects.jsonl)   the teachers' answers
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
from training_pipeline.distil.student import StudentShape, write_student
from training_pipeline.distil.student_chats import Mixing, write_student_chats
from training_pipeline.distil.teachers import is_known_of_all, load_teacher, unseen_by_all
from training_pipeline.train.config import TrainConfig
from training_pipeline.train.train import run_training


@dataclass(frozen=True)
class DistilRequest:
    """What to distil from what."""

    teachers: Sequence[Path]
    """Folders of runs, bundles or linear stages."""
    data: Sequence[Path]
    """Labelled chats; the files of the teachers' runs, in their order."""
    dev: Path | None
    out: Path
    config: TrainConfig
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
    teachers = [load_teacher(path, request.data, n_threads=request.n_threads) for path in request.teachers]
    with progress() as on_progress:
        labels = write_soft_labels(
            [*request.data, *request.unlabelled],
            out / SOFT_LABELS_NAME,
            teachers,
            licence_classes=request.licence_classes,
            on_progress=on_progress,
        )
    unseen = unseen_by_all(teachers)
    counts = write_student_chats(
        out / SOFT_LABELS_NAME,
        out / CHATS_NAME,
        request.mixing,
        config,
        unseen=_held_out_by(request) if unseen is None else unseen,
        allow_seen=request.allow_seen_held_out,
    )
    counts["held_out_unseen_by_teachers"] &= is_known_of_all(teachers)
    chats = read_labelled_chats([out / CHATS_NAME], config.windowing, frozenset())
    learned, _ = split_chats(chats, config)
    student = write_student(
        request.start or _first_run(request.teachers),
        out / STUDENT_NAME,
        request.shape,
        chats.take(learned).texts,
        max_tokens=config.windowing.max_tokens,
    )
    record = {
        "teachers": [
            {"name": path.name, "digest": teacher.digest}
            for path, teacher in zip(request.teachers, teachers, strict=True)
        ],
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


def _held_out_by(request: DistilRequest) -> frozenset[str]:
    """Return the ids that the student's own split holds out of the labelled chats.

    With the split seed and ratio of a teacher's run these are the chats that the teacher has not learned from either,
    whatever stands in the unlabelled files.
    """
    chats = read_labelled_chats(request.data, request.config.windowing, request.licence_classes)
    _, held_out = split_chats(chats, request.config)
    return frozenset(chats.chat_ids[i] for i in held_out)


def _first_run(teachers: Sequence[Path]) -> Path:
    run = next((path for path in teachers if (path / "data.json").is_file()), None)
    if run is None:
        raise ValueError("no teacher is a run; expected --start, a run or an encoder whose layers the student takes")
    return run
