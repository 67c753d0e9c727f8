"""The rows as a CSV table, one conversation a row, as `extract` reads tables.

Cells hold what a model wrote as it is: open the table as text, not in a program that takes `=…` for a formula.
"""

import csv
from pathlib import Path
from typing import Any, Final

import orjson

from training_pipeline.data.stage_files import part_path
from training_pipeline.synthesise.brief import Labelled
from training_pipeline.synthesise.written_chat import labelled_message

COLUMNS: Final = (
    "chat_id",
    "category",
    "message",
    "speaker",
    "language",
    "persona",
    "topic",
    "tone",
    "length",
    "conversation",
)


def write_table(rows: Path, table: Path) -> None:
    """Write the table of a file of rows, whole or not at all.

    `message` is what is of the category: one message, or where that is the conversation, all of it.
    """
    table.parent.mkdir(parents=True, exist_ok=True)
    part = part_path(table)
    with rows.open("rb") as lines, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for line in lines:
            writer.writerow(_cells(orjson.loads(line)))
    part.replace(table)


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    messages, made = row["messages"], row["synthetic"]
    conversation = "\n".join(f"{message['name']}: {message['content']}" for message in messages)
    labelled = Labelled(made["labelled"])
    counts = messages[labelled_message(messages, labelled)]
    cell = {name: made["cell"][name] for name in ("language", "persona", "topic", "tone", "length")}
    return cell | {
        "chat_id": row["chat_id"],
        "category": row["category"],
        "message": conversation if labelled is Labelled.CONVERSATION else counts["content"],
        "speaker": counts["name"],
        "conversation": conversation,
    }
