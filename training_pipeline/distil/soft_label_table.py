"""Teachers' answers as data of our own: a table of soft labels by chat_id, without chat text.

A student can be trained from it on a machine that lacks the teachers. It is a gzipped CSV file:

    # {"format": 1, …}         who answered, and which split decided what they held out
    chat_id,held_out,I,D,…     a column for each of the 13 categories
    0012359fad96a87d,0,3,…     probabilities in steps of 1/255; each row sums to 255

`held_out` is 1 for a labelled chat that no teacher's run learned from. Only such chats may carry a student's guarantee,
so a student from the table holds out these and no others.

Invariant: the same answers give the same bytes, whatever the order of the chats; no row stands for two different chats.
"""

import csv
import gzip
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training_pipeline.data.chat_rows import ChatRow
from training_pipeline.data.stage_files import file_digest, part_path
from training_pipeline.train.config import TrainConfig

STEPS: Final = 255
"""Steps of a probability. A soft label needs no more: the label noise is far larger than 1/255."""

_COMMENT: Final = "# "
_FIRST_COLUMNS: Final = ["chat_id", "held_out"]


class TeacherName(BaseModel):
    """One model whose answers are in the mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    digest: str


class TableHead(BaseModel):
    """Where a table's answers come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    teachers: list[TeacherName]
    split_seed: int
    calibration_ratio: float = Field(gt=0, lt=1)
    held_out_known: bool
    """Whether every teacher says what it learned from; a bundle does not."""
    n_rows: int = Field(ge=0)
    n_held_out: int = Field(ge=0)
    n_ambiguous: int = Field(default=0, ge=0)
    """Ids that stood for several chats with different answers; they have no row."""


@dataclass(frozen=True)
class SoftLabelTable:
    """A table in memory."""

    head: TableHead
    answers: Mapping[str, NDArray[np.uint8]]
    """By chat_id, uint8 [n_categories], in steps of 1/255."""
    codes: tuple[str, ...]
    """Of the columns."""
    held_out: frozenset[str]
    digest: str

    @property
    def digests(self) -> list[str]:
        """See `Answers`."""
        return [self.digest]

    def of(self, rows: Sequence[ChatRow]) -> list[NDArray[np.float32] | None]:
        """See `Answers`."""
        found = (self.answers.get(row.chat_id) for row in rows)
        return [None if steps is None else (steps / np.float32(STEPS)).astype(np.float32) for steps in found]

    def check_split(self, config: TrainConfig) -> Self:
        """Return the table, and refuse a student whose configuration names another split.

        Raises:
            ValueError: seed or ratio differ: the student would report a split that is not the one it has; or the
                categories do.
        """
        if self.codes != config.taxonomy.codes:
            raise ValueError(
                f"the soft labels are of {', '.join(self.codes)}; the student's taxonomy {config.taxonomy.ref} has "
                f"{', '.join(config.taxonomy.codes)}; name the taxonomy of the soft labels"
            )
        found = (config.seed_of_split, config.calibration_ratio)
        wanted = (self.head.split_seed, self.head.calibration_ratio)
        if found != wanted:
            raise ValueError(
                f"split_seed and calibration_ratio are {found}; the soft labels' teachers held chats out by {wanted}: "
                f"--set split_seed={wanted[0]} --set calibration_ratio={wanted[1]}"
            )
        return self


def write_table(
    rows: Iterable[Mapping[str, Any]],
    out: Path,
    teachers: Sequence[TeacherName],
    config: TrainConfig,
    *,
    unseen: frozenset[str],
    held_out_known: bool,
) -> TableHead:
    """Write a table and return its head.

    Args:
        rows: What `write_soft_labels` wrote: chat_id, `labelled` and the teachers' `soft_label`.
        out: File to write, `.csv.gz`.
        teachers: Who answered.
        config: Its split decided what the teachers' runs held out.
        unseen: Ids of labelled chats that no run among the teachers learned from.
        held_out_known: Whether that holds of all teachers.
    """
    answers: dict[str, NDArray[np.uint8]] = {}
    ambiguous: set[str] = set()
    labelled: set[str] = set()
    for row in rows:
        chat_id = row["chat_id"]
        steps = in_steps(np.array([row["soft_label"].get(code, 0.0) for code in config.taxonomy.codes]))
        if not np.array_equal(answers.setdefault(chat_id, steps), steps):
            ambiguous.add(chat_id)
        if row["labelled"]:
            labelled.add(chat_id)
    kept = sorted(answers.keys() - ambiguous)
    held_out = unseen & labelled
    head = TableHead(
        teachers=list(teachers),
        split_seed=config.seed_of_split,
        calibration_ratio=config.calibration_ratio,
        held_out_known=held_out_known,
        n_rows=len(kept),
        n_held_out=len(held_out.intersection(kept)),
        n_ambiguous=len(ambiguous),
    )
    text = io.StringIO(newline="")
    text.write(f"{_COMMENT}{orjson.dumps(head.model_dump()).decode()}\n")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([*_FIRST_COLUMNS, *config.taxonomy.codes])
    lines.writerows([chat_id, int(chat_id in held_out), *answers[chat_id].tolist()] for chat_id in kept)
    out.parent.mkdir(parents=True, exist_ok=True)
    # No time stamp: the same answers are the same file.
    part_path(out).write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    part_path(out).replace(out)
    return head


def read_table(path: Path) -> SoftLabelTable:
    """Read a table.

    Raises:
        ValueError: it cannot be read, or is no such table; names the line.
    """
    try:
        text = gzip.decompress(path.read_bytes()).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read ({error}); expected what `soft-labels` wrote") from error
    first, _, rest = text.partition("\n")
    try:
        head = TableHead.model_validate_json(first.removeprefix(_COMMENT))
    except ValidationError as error:
        raise ValueError(f"{path}: not a table of soft labels of this version: {error}") from error
    lines = csv.reader(io.StringIO(rest, newline=""), strict=True)
    columns = next(lines, [])
    n_first = len(_FIRST_COLUMNS)
    codes = tuple(columns[n_first:])
    if columns[:n_first] != _FIRST_COLUMNS or len(set(codes)) < max(2, len(codes)):
        raise ValueError(
            f"{path}: columns are {columns}; expected {','.join(_FIRST_COLUMNS)} and each category once, in the "
            "taxonomy's order"
        )
    answers: dict[str, NDArray[np.uint8]] = {}
    held_out = set()
    for fields in lines:
        chat_id, flag, steps = _line(fields, len(codes), f"{path}:{lines.line_num + 1}")
        answers[chat_id] = steps
        if flag:
            held_out.add(chat_id)
    if (len(answers), len(held_out)) != (head.n_rows, head.n_held_out):
        raise ValueError(
            f"{path}: {len(answers)} chats, {len(held_out)} held out; its first line says {head.n_rows} and "
            f"{head.n_held_out}; expected a whole table"
        )
    return SoftLabelTable(head, answers, codes, frozenset(held_out), file_digest(path))


def in_steps(probabilities: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Return probabilities in steps of 1/255, uint8 [n_categories], that sum to 255.

    The largest remainders are rounded up, so that a larger probability never gets fewer steps than a smaller one.
    """
    exact = probabilities / probabilities.sum() * STEPS
    steps = np.floor(exact).astype(np.int64)
    n_left = STEPS - int(steps.sum())
    steps[np.argsort(steps - exact, kind="stable")[:n_left]] += 1
    return steps.astype(np.uint8)


def _line(fields: Sequence[str], n_categories: int, where: str) -> tuple[str, bool, NDArray[np.uint8]]:
    """Return chat_id, whether it is held out, and its steps."""
    try:
        chat_id, flag, *texts = fields
        steps = [int(text) for text in texts]
        right = len(steps) == n_categories and min(steps) >= 0 and sum(steps) == STEPS and flag in {"0", "1"}
    except ValueError:
        right = False
    if not right:
        raise ValueError(
            f"{where}: not a row; expected a chat_id, 0 or 1, and {n_categories} whole numbers that sum to {STEPS}"
        )
    return chat_id, flag == "1", np.array(steps, dtype=np.uint8)
