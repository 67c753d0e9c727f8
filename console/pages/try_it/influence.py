"""Which messages and words move the model: it is asked again without each of them (occlusion).

Invariant: the questions about one conversation are bounded, however long it is.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from schemas import Turn, is_visible

MAX_PARTS: Final = 40
"""Questions about one conversation or message, besides the one about all of it."""
_WORD: Final = re.compile(r"\s*\S{1,24}(?:\s+$)?")
_WIDE: Final = re.compile(r"[\u2e80-\U0001ffff]")
_WIDE_PART: Final = 2
"""Characters of a script without spaces that are taken for a word."""


class Part(NamedTuple):
    """A part of a conversation, and the conversation without it."""

    message: int
    text: str
    left: list[Turn]
    """Empty where nothing visible is left: that cannot be asked."""


def messages_of(turns: Sequence[Turn]) -> list[Part]:
    """Return the newest messages, each a part, the oldest first."""
    positions = range(max(0, len(turns) - MAX_PARTS), len(turns))
    return [Part(i, turns[i].text, [*turns[:i], *turns[i + 1 :]]) for i in positions]


def words_of(turns: Sequence[Turn], message: int) -> list[Part]:
    """Return the words of a message, neighbours together where there are too many; joined they are its text."""
    role, text = turns[message]
    words = _words(text)
    n_each = -(-len(words) // MAX_PARTS)
    groups = ["".join(words[i : i + n_each]) for i in range(0, len(words), n_each)]
    parts, before = [], 0
    for group in groups:
        rest = text[:before] + text[before + len(group) :]
        kept = [Turn(role, rest)] if is_visible(rest) else []
        parts.append(Part(message, group, [*turns[:message], *kept, *turns[message + 1 :]]))
        before += len(group)
    return parts


def _words(text: str) -> list[str]:
    words: list[str] = []
    end = 0
    for match in _WORD.finditer(text):
        word = text[end : match.end()]
        end = match.end()
        if _WIDE.search(word):
            words += [word[i : i + _WIDE_PART] for i in range(0, len(word), _WIDE_PART)]
        else:
            words.append(word)
    if end < len(text):
        words.append(text[end:])
    return words
