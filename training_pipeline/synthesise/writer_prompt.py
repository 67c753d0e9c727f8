"""What the writer is asked: the taxonomy and the brief as the system message, one cell of the grid as the user message.

Invariant: one brief, taxonomy and cell give one prompt; nothing that a model wrote is ever part of one.
"""

import hashlib
from typing import Any, Final

import orjson

from schemas.taxonomy import Taxonomy
from training_pipeline.data.annotator_config import Annotator
from training_pipeline.data.label_prompt import Task, categories_text
from training_pipeline.synthesise.brief import Brief, Labelled
from training_pipeline.synthesise.grid import Cell

_SYSTEM: Final = """\
You write made-up conversations that a text classifier learns from. Each is as real people would write it: with their
own words, their level of detail, and where it fits their typing errors.

Where: {setting}
Who: {audience}

The classifier tells categories apart. What decides: {subject}.
Categories (code, name: what belongs to it)
{categories}
{rules}
How to write
- Every conversation is clearly of the category asked for, by the rules above, and of no other.
- Show the category, never name it: no codes, no labels, no word about categories, classifiers or examples.
- Invent all people and firms. No real person's name, address, number, e-mail or account, and no key or password.
- Vary openings and sentence forms; do not greet by habit, and do not explain what nobody asked for.
{instructions}
Your answer
One JSON object and nothing else: {{"messages": [{{"id": 1, "speaker": "<name>", "content": "<text>"}}, ...]}}
Messages stand in the order in which they were written, numbered from 1.
"""

ANSWER_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["messages"],
    "properties": {
        "messages": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["id", "speaker", "content"],
                "properties": {
                    "id": {"type": "integer"},
                    "speaker": {"type": "string"},
                    "content": {"type": "string"},
                },
            },
        }
    },
}
"""JSON Schema of an answer. Its numbers and names are checked by the parser: not every endpoint enforces them."""

_COUNTS: Final = {
    Labelled.CONVERSATION: "The conversation as a whole is of the category, for what {first} writes.",
    Labelled.LAST: "The last message is written by {first} and is of the category; what comes before leads to it.",
    Labelled.LAST_USER: "The last message of a user is written by {first} and is of the category; others may answer.",
}


def writer_task(taxonomy: Taxonomy, brief: Brief) -> Task:
    """Return the system message and the form of the answers."""
    system = _SYSTEM.format(
        setting=brief.setting,
        audience=brief.audience,
        subject=taxonomy.subject.strip().rstrip(".") or "the conversation as a whole",
        categories=categories_text(taxonomy),
        rules=f"Rules\n{taxonomy.rules.strip()}\n" if taxonomy.rules.strip() else "",
        instructions=f"{brief.instructions}\n" if brief.instructions else "",
    )
    return Task("conversation", system, ANSWER_SCHEMA)


def ask_for(cell: Cell, taxonomy: Taxonomy, brief: Brief, *, refused: str | None = None) -> str:
    """Return the user message.

    Args:
        cell: What to write.
        taxonomy: Whose category it has.
        brief: What the category needs besides.
        refused: Why the answer before was of no use, in our own words.
    """
    fewest, most = cell.length.messages
    speakers = ", ".join(f"{speaker.name} ({speaker.role.value})" for speaker in cell.speakers)
    own = brief.of_category(cell.category).instructions
    lines = [
        f"Write conversation {cell.number + 1} of category {cell.category} ({taxonomy.names[cell.category]}).",
        f"Topic: {cell.topic}",
        f"{cell.speakers[0].name} is: {cell.persona}",
        f"Tone: {cell.tone}",
        f"Language: {cell.language}",
        f"Messages: {fewest}" if fewest == most else f"Messages: {fewest} to {most}",
        f"Words in a message: {cell.length.words[0]} to {cell.length.words[1]}",
        f"Speakers, as few of them as it needs: {speakers}",
        _COUNTS[brief.labelled].format(first=cell.speakers[0].name),
        *([own] if own else []),
        *([f"The last answer was of no use: {refused}. Write it anew."] if refused else []),
    ]
    return "\n".join(lines)


def prompt_digest(task: Task) -> str:
    """Return the digest of what all conversations of a run share, 16 hex digits."""
    text = orjson.dumps([task.system, task.answer_schema], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:16]


def written_request(writer: Annotator, task: Task, prompt: str, attempt: int) -> str:
    """Return the digest of what decides an answer; limits and prices do not.

    Args:
        writer: Who is asked.
        task: The system message.
        prompt: The user message.
        attempt: How often the conversation was asked for before; the same prompt may then come again.
    """
    asked = writer.model_dump(
        mode="json", include={"base_url", "model", "output", "temperature", "max_answer_tokens", "extra_body"}
    )
    text = orjson.dumps([asked, prompt_digest(task), prompt, attempt], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:32]
