"""The prompt of the annotators: our rules as the system message, one chat as quoted data in the user message.

Invariant: the chat stands between one pair of delimiters, and no text of it can end that block, because the characters
that delimiters are made of are escaped in it.
"""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final

from schemas import CODES, Turn

_OPEN: Final = "<conversation>"
_CLOSE: Final = "</conversation>"
_GAP: Final = " [...] "
_REMINDER: Final = "Label the conversation above by the rules. Answer with the JSON object only."

NO_RUNNER_UP: Final = "-"

ANSWER_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["category", "confidence", "runner_up"],
    "properties": {
        "category": {"type": "string", "enum": list(CODES)},
        "confidence": {"type": "integer", "enum": [1, 2, 3]},
        "runner_up": {"type": "string", "enum": [*CODES, NO_RUNNER_UP]},
    },
}
"""JSON Schema of an answer; the category first, so that its log-probabilities do not depend on the rest."""


def rules() -> str:
    """Return the system message: the taxonomy, its ties and the form of the answer."""
    return files("training_pipeline.data").joinpath("label_rules.txt").read_text(encoding="utf-8")


def rules_digest() -> str:
    """Return the digest of everything but the chat that an answer rests on, 16 hex digits."""
    text = "\n".join((rules(), _OPEN, _CLOSE, _REMINDER, repr(ANSWER_SCHEMA)))
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
