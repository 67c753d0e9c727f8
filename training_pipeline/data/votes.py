"""Gather what the annotators said about each chat, from answers files and from rows that carry `annotations`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.taxonomy import CHAT_13, Taxonomy
from training_pipeline.data.answer_log import read_answers
from training_pipeline.data.chat_rows import ChatRow
from training_pipeline.data.dawid_skene import ABSTAINED
from training_pipeline.data.errors import DataError
from training_pipeline.data.label_answer import Label, Status, soft_label_of
from training_pipeline.data.label_prompt import NO_RUNNER_UP
from training_pipeline.data.label_table import read_label_table


class Vote(NamedTuple):
    """One annotator's word on one chat."""

    category: str
    confidence: int
    runner_up: str
    soft_label: Mapping[str, float]

    def annotation(self) -> list[str]:
        """Return the vote as labelled chats hold it: code, confidence, runner-up."""
        return [self.category, str(self.confidence), self.runner_up]


VotesByAnnotator = dict[str, Vote]


def gather_votes(
    rows: Sequence[ChatRow],
    answer_paths: Sequence[Path],
    table_paths: Sequence[Path] = (),
    taxonomy: Taxonomy = CHAT_13,
) -> dict[str, VotesByAnnotator]:
    """Return the votes of each chat; of several answers of one annotator on a chat the last.

    Args:
        rows: The chats; answers about others are passed over.
        answer_paths: Files that `label` wrote.
        table_paths: Label tables; each file's name without its ending is its annotator.
        taxonomy: Whose categories; an answer under another one is an abstention.

    Raises:
        DataError: a file is no answers file or no label table, or a row's `annotations` are of another form.
    """
    votes: dict[str, VotesByAnnotator] = {row.chat_id: _carried_votes(row, taxonomy) for row in rows}
    for path in answer_paths:
        for answer in read_answers(path):
            chat = votes.get(answer.chat_id)
            if chat is None or answer.status is Status.FAILED:
                continue
            if answer.status is not Status.LABELLED or answer.category not in taxonomy.codes or not answer.soft_label:
                chat.pop(answer.annotator, None)
                continue
            chat[answer.annotator] = Vote(
                answer.category, answer.confidence or 3, answer.runner_up or NO_RUNNER_UP, answer.soft_label
            )
    for path in table_paths:
        for chat_id, label in read_label_table(path, taxonomy):
            if chat_id in votes:
                votes[chat_id][path.stem] = Vote(*label, soft_label_of(label))
    return votes


def _carried_votes(row: ChatRow, taxonomy: Taxonomy) -> VotesByAnnotator:
    annotations = row.fields.get("annotations") or {}
    if not isinstance(annotations, dict):
        raise DataError(f"{row.position}: annotations is a {type(annotations).__name__}; expected annotator to vote")
    return {
        name: _carried_vote(value, f"{row.position}: annotations.{name}", taxonomy)
        for name, value in annotations.items()
    }


def _carried_vote(value: Any, where: str, taxonomy: Taxonomy) -> Vote:
    well_formed = (
        isinstance(value, list)
        and len(value) == 3  # noqa: PLR2004  code, confidence, runner-up
        and value[0] in taxonomy.codes
        and str(value[1]) in {"1", "2", "3"}
        and value[2] in (*taxonomy.codes, NO_RUNNER_UP)
    )
    if not well_formed:
        raise DataError(f"{where}: not a vote; expected [code, confidence 1 to 3, runner-up or -]")
    label = Label(value[0], int(value[1]), value[2])
    return Vote(*label, soft_label_of(label))


def vote_matrix(
    votes: Sequence[VotesByAnnotator], annotators: Sequence[str], taxonomy: Taxonomy = CHAT_13
) -> NDArray[np.int64]:
    """Return int64 [n_chats, n_annotators]: category index, or -1 for an abstention."""
    return np.array(
        [
            [taxonomy.columns[chat[name].category] if name in chat else ABSTAINED for name in annotators]
            for chat in votes
        ],
        dtype=np.int64,
    ).reshape(len(votes), len(annotators))
