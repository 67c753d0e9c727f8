"""Answers that were recorded instead of asked for: labelled chats, as if annotators had answered with their category.

For recipes that must run without a model endpoint, such as the smoke recipe.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from schemas.taxonomy import CHAT_13, Taxonomy
from training_pipeline.data.answer_log import Answer
from training_pipeline.data.chat_rows import read_chat_rows
from training_pipeline.data.errors import DataError
from training_pipeline.data.label_answer import Label, Status, soft_label_of
from training_pipeline.data.label_prompt import NO_RUNNER_UP, rules_digest

ANNOTATORS: Final = ("recorded-one", "recorded-two")

_SURE: Final = 3


def write_recorded_answers(
    data: Sequence[Path], recorded: Sequence[Path], out: Path, taxonomy: Taxonomy = CHAT_13
) -> int:
    """Write `<annotator>.jsonl` for each of two annotators and return how many chats have an answer.

    Args:
        data: The chats to be labelled.
        recorded: Labelled chats; a chat of `data` with none of their ids gets no answer.
        out: Folder of the answers.
        taxonomy: Whose categories they have.

    Raises:
        DataError: a recorded chat has no category.
    """
    categories = {}
    for row in read_chat_rows(recorded, lambda _: None):
        if (category := row.fields.get("category")) not in taxonomy.codes:
            raise DataError(f"{row.position}: category is {category!r}; expected labelled chats as recorded answers")
        categories[row.chat_id] = category
    chat_ids = [row.chat_id for row in read_chat_rows(data, lambda _: None) if row.chat_id in categories]
    out.mkdir(parents=True, exist_ok=True)
    for annotator in ANNOTATORS:
        lines = (_answer(chat_id, categories[chat_id], annotator, taxonomy) for chat_id in chat_ids)
        (out / f"{annotator}.jsonl").write_bytes(
            b"".join(answer.model_dump_json(exclude_none=True).encode() + b"\n" for answer in lines)
        )
    return len(chat_ids)


def _answer(chat_id: str, category: str, annotator: str, taxonomy: Taxonomy) -> Answer:
    label = Label(category, _SURE, NO_RUNNER_UP)
    return Answer(
        request=hashlib.sha256(f"recorded {annotator} {chat_id}".encode()).hexdigest()[:32],
        chat_id=chat_id,
        annotator=annotator,
        status=Status.LABELLED,
        category=label.category,
        confidence=label.confidence,
        runner_up=label.runner_up,
        soft_label=soft_label_of(label),
        rules_digest=rules_digest(taxonomy),
    )
