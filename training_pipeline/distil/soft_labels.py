"""Stage: give labelled and unlabelled chats the mean probabilities of the teachers as soft labels.

Rows keep their fields. `soft_label` is the teachers', `category` the annotators' or, where there is none, the teachers'
most probable one, `labelled` says which; the annotators' own weights move to `annotated_soft_label`. Where the teachers
did not answer, `taught` is false and the label is the annotators' alone; a chat without either is rejected.

Invariant: an interrupted stage goes on after its last whole chunk, and a finished one over the same inputs and teachers
is not run again.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from schemas import CHAT_13, Taxonomy
from training_pipeline.chats.labelled_chats import OWN
from training_pipeline.data.chat_rows import ChatRow, Reject, read_chat_rows
from training_pipeline.data.resumable_output import ResumableOutput, read_checkpoint
from training_pipeline.data.stage_files import (
    StageReport,
    digests,
    finished_report,
)

STAGE: Final = "soft-labels"

_CHUNK_CHATS: Final = 256
_DECIMALS: Final = 6
_LICENCE_CLASS: Final = "licence_class"
_NO_TEXT: Final = "no_visible_text"
_NO_ANSWER: Final = "no_soft_label"

OnProgress = Callable[[int, int], None]


class Answers(Protocol):
    """Where soft labels come from: teachers that are asked, or a table of what they said."""

    @property
    def digests(self) -> list[str]:
        """Digests of what decides the answers."""

    def of(self, rows: Sequence[ChatRow]) -> list[NDArray[np.float32] | None]:
        """Return probabilities of each chat, float32 [n_categories], summing to 1; None without an answer."""


def write_soft_labels(
    paths: Sequence[Path],
    out: Path,
    answers: Answers,
    *,
    taxonomy: Taxonomy,
    licence_classes: frozenset[str] = frozenset(),
    on_progress: OnProgress | None = None,
) -> StageReport:
    """Run the stage over JSON-lines files.

    Args:
        paths: Chats with or without `category`.
        out: JSON lines to write; rejects and report go beside it.
        answers: The teachers, or what they said.
        taxonomy: Of the categories.
        licence_classes: Keep only chats of these classes; empty keeps all. Chats without the field are kept.
        on_progress: Called with how many lines are done and how many there are.
    """
    options: dict[str, Any] = {
        "teachers": answers.digests,
        "licence_classes": sorted(licence_classes),
    }
    if taxonomy != CHAT_13:
        # What earlier versions began is of chat-13, and is continued.
        options["taxonomy"] = taxonomy.model_dump(mode="json")
    inputs = digests(paths)
    if finished := finished_report(out, STAGE, inputs, options):
        return finished
    source = {"inputs": inputs, **options}
    output = ResumableOutput(out, source, read_checkpoint(out, source))
    n_total = sum(_n_lines(path) for path in paths)
    try:
        for index, path in enumerate(paths):
            for _ in _label_file(path, str(index), output, answers, licence_classes, taxonomy=taxonomy):
                if on_progress is not None:
                    on_progress(sum(output.cursor.values()), n_total)
    except BaseException:
        output.close()
        raise
    output.finish()
    return output.report(STAGE, inputs, options)


def _label_file(
    path: Path,
    place: str,
    output: ResumableOutput,
    answers: Answers,
    licence_classes: frozenset[str],
    *,
    taxonomy: Taxonomy,
) -> Iterator[None]:
    """Label a file from where it was left, and yield after each saved chunk."""
    done = output.cursor.get(place, 0)
    found_after = _read_after(path, done)
    while chunk := list(islice(found_after, _CHUNK_CHATS)):
        rows: list[ChatRow] = []
        for found in chunk:
            if isinstance(found, Reject):
                output.reject(found)
            elif (reason := _refusal(found, licence_classes)) is not None:
                output.reject(Reject(position=found.position, reason=reason[0], error=reason[1], chat_id=found.chat_id))
            else:
                rows.append(found)
        for row, answer in zip(rows, answers.of(rows) if rows else [], strict=True):
            if answer is None and row.fields.get("category") not in taxonomy.codes:
                error = "neither teachers nor annotators say what this chat is"
                output.reject(Reject(position=row.position, reason=_NO_ANSWER, error=error, chat_id=row.chat_id))
            else:
                output.write(_labelled(row, answer, taxonomy.codes))
        output.done(place, _line(chunk[-1].position))
        output.save()
        yield


def _read_after(path: Path, line: int) -> Iterator[ChatRow | Reject]:
    """Yield chats and rejects in the order of their lines, after a line."""
    refused: list[Reject] = []
    for row in read_chat_rows([path], refused.append):
        yield from (reject for reject in refused if _line(reject.position) > line)
        refused.clear()
        if _line(row.position) > line:
            yield row
    yield from (reject for reject in refused if _line(reject.position) > line)


def _line(position: str) -> int:
    return int(position.rpartition(":")[2])


def _n_lines(path: Path) -> int:
    with path.open("rb") as lines:
        return sum(1 for _ in lines)


def _refusal(row: ChatRow, licence_classes: frozenset[str]) -> tuple[str, str] | None:
    found = str(row.fields.get("license_class", OWN))
    if licence_classes and found not in licence_classes | {OWN}:
        return _LICENCE_CLASS, f"license_class is {found}; asked for {', '.join(sorted(licence_classes))}"
    if not row.turns:
        return _NO_TEXT, "no turn has visible text"
    return None


def _labelled(row: ChatRow, answer: NDArray[np.float32] | None, codes: Sequence[str]) -> dict[str, Any]:
    category = row.fields.get("category")
    labelled = category in codes
    soft_label: dict[str, float] | None = (row.fields.get("soft_label") or {category: 1.0}) if labelled else None
    if answer is not None:
        soft_label = {code: round(float(p), _DECIMALS) for code, p in zip(codes, answer, strict=True)}
        category = category if labelled else codes[int(answer.argmax())]
    return {
        **row.fields,
        "category": category,
        "labelled": labelled,
        "taught": answer is not None,
        "soft_label": soft_label,
        "annotated_soft_label": row.fields.get("soft_label") if labelled else None,
    }
