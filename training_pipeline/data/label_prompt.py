"""The prompt of the annotators: a taxonomy's rules as the system message, one chat as quoted data in the user message.

Invariant: the chat stands between one pair of delimiters, and no text of it can end that block, because the characters
that delimiters are made of are escaped in it.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from string import Template
from typing import Any, Final, NamedTuple

from schemas import Turn
from schemas.taxonomy import CHAT_13, Taxonomy

_OPEN: Final = "<conversation>"
_CLOSE: Final = "</conversation>"
_GAP: Final = " [...] "
_REMINDER: Final = "Label the conversation above by the rules. Answer with the JSON object only."
_ANY_SUBJECT: Final = "the conversation as a whole"

NO_RUNNER_UP: Final = "-"


class Task(NamedTuple):
    """What a model is asked to do with every user message, and the form of its answers."""

    name: str
    """Of the form, as endpoints want one."""
    system: str
    answer_schema: dict[str, Any]


def answer_schema(taxonomy: Taxonomy) -> dict[str, Any]:
    """Return the JSON Schema of an answer; the category first, so that its log-probabilities depend on nothing else."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["category", "confidence", "runner_up"],
        "properties": {
            "category": {"type": "string", "enum": list(taxonomy.codes)},
            "confidence": {"type": "integer", "enum": [1, 2, 3]},
            "runner_up": {"type": "string", "enum": [*taxonomy.codes, NO_RUNNER_UP]},
        },
    }


def rules(taxonomy: Taxonomy) -> str:
    """Return the system message: the taxonomy, its ties and the form of the answer."""
    folder = files("training_pipeline.data")
    if taxonomy == CHAT_13:
        # Written by hand before taxonomies were data; answers that were paid for rest on its exact bytes.
        return folder.joinpath("label_rules.txt").read_text(encoding="utf-8")
    return Template(folder.joinpath("label_rules_any.txt").read_text(encoding="utf-8")).substitute(
        n_categories=len(taxonomy.categories),
        subject=taxonomy.subject.strip().rstrip(".") or _ANY_SUBJECT,
        categories=categories_text(taxonomy),
        ties=f"\nRules\n{taxonomy.rules.strip()}\n" if taxonomy.rules.strip() else "",
    )


def categories_text(taxonomy: Taxonomy) -> str:
    """Return one line for each category: code, name and what belongs to it."""
    return "\n".join(
        f"{category.code} {category.name}: {' '.join(category.description.split())}".rstrip(": ")
        for category in taxonomy.categories
    )


@lru_cache(maxsize=8)
def label_task(taxonomy: Taxonomy) -> Task:
    """Return what annotators are asked under a taxonomy."""
    return Task("label", rules(taxonomy), answer_schema(taxonomy))


@lru_cache(maxsize=8)
def rules_digest(taxonomy: Taxonomy) -> str:
    """Return the digest of everything but the chat that an answer rests on, 16 hex digits."""
    text = "\n".join((rules(taxonomy), _OPEN, _CLOSE, _REMINDER, repr(answer_schema(taxonomy))))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def quote_chat(turns: Sequence[Turn], *, last_messages: int, message_characters: int) -> str:
    """Return the user message: the last turns as quoted data.

    Args:
        turns: Visible turns, oldest first.
        last_messages: Turns shown, from the end.
        message_characters: Characters shown of one turn: three quarters from its head, the rest from its tail.
    """
    lines = [
        f'<message role="{turn.role.value}">{_escape(_cut(turn.text, message_characters))}</message>'
        for turn in turns[-last_messages:]
    ]
    return "\n".join((_OPEN, *lines, _CLOSE, _REMINDER))


def _cut(text: str, n_characters: int) -> str:
    if len(text) <= n_characters:
        return text
    n_head = n_characters * 3 // 4
    return text[:n_head] + _GAP + text[len(text) - (n_characters - n_head) :]


def _escape(text: str) -> str:
    # Lone surrogates cannot be sent as UTF-8; the codec refuses them, a masked or hand-made row might still hold one.
    whole = text.encode("utf-8", "replace").decode()
    return whole.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
