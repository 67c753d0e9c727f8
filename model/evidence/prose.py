"""What a user wrote in words: without code and links, which no language is told by.

Invariant: what another script writes beside or inside code stays.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from schemas import Role, Turn

_READ_CHARACTERS: Final = 400
_ENOUGH_CHARACTERS: Final = 100
"""Earlier messages of the user are read too until there are this many."""
_SEARCHED_CHARACTERS: Final = 20_000
"""As many as pieces cover."""

_FENCED: Final = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_CODE_SIGNS: Final = re.compile(r"[\\/_{}<>=]")
_OTHER_SCRIPT: Final = re.compile("[\u0370-\u1dff\u2c00-\ufffd]")
"""Letters that no code is written in: a sign beside them is no reason to leave them out."""


def users_text(turns: Sequence[Turn]) -> str:
    """Return what is read of the user's messages: the newest, earlier ones too where it is short; no code, no links."""
    parts: list[str] = []
    n_characters = 0
    for turn in reversed(turns):
        if turn.role is Role.USER:
            prose = _words(_FENCED.sub(_other_words, turn.text[: 2 * _READ_CHARACTERS]))[:_READ_CHARACTERS]
            parts.append(prose)
            n_characters += len(prose)
            if n_characters >= _ENOUGH_CHARACTERS:
                break
    return " ".join(parts)[:_READ_CHARACTERS]


def users_lines(turns: Sequence[Turn], fewest_letters: int) -> Iterator[str]:
    """Yield the words of each line of the user's messages, the newest message first; of code too, for its comments.

    Args:
        turns: Turns with visible text, oldest first.
        fewest_letters: Lines of Latin letters alone that cannot have as many are left out.
    """
    n_left = _SEARCHED_CHARACTERS
    for turn in reversed(turns):
        if turn.role is not Role.USER or n_left <= 0:
            continue
        text = turn.text[:n_left]
        n_left -= len(text)
        for line in text.splitlines():
            if line.isascii() and len(line) < fewest_letters:
                continue
            words = _words(line)
            for start in range(0, len(words), _READ_CHARACTERS):
                yield words[start : start + _READ_CHARACTERS]


def _words(text: str) -> str:
    return " ".join(
        _CODE_SIGNS.sub(" ", word)
        for word in text.split()
        if _CODE_SIGNS.search(word) is None or _OTHER_SCRIPT.search(word)
    )


def _other_words(fenced: re.Match[str]) -> str:
    words = [] if fenced[0].isascii() else fenced[0].split()
    return " ".join(["", *(word for word in words if _OTHER_SCRIPT.search(word)), ""])
