"""Which text of an event is judged.

`messages` where one of them has visible text, else `formatted_chat`, else `query`. Text counts as visible when
something is left after white space, control and format characters (zero-width joiners, direction marks, BOMs) and
blank letters (Hangul fillers, the empty Braille cell) are taken away. A character that Python's Unicode tables do not
know counts as visible: it is most often an emoji of a later Unicode version.

Invariant: one rule decides what is classified, what is fingerprinted and what is rejected as empty.
"""

import unicodedata
from typing import NamedTuple

from schemas.chat_event import ChatEvent, Role


class Turn(NamedTuple):
    """One message that has visible text."""

    role: Role
    text: str


_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Mn", "Me", "Co", "Cs"})

_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Letters and symbols to Unicode, nothing to the eye."""


def is_visible(text: str) -> bool:
    """Say whether any character of `text` would show."""
    # Nearly every text begins with a printable ASCII character; only hostile ones are read to the end. A plain loop,
    # because any() would build a generator for each message.
    if "!" <= text[:1] <= "~":
        return True
    for character in text:
        if unicodedata.category(character) not in _INVISIBLE_CATEGORIES and character not in _BLANK_LETTERS:
            return True
    return False


def conversation_turns(event: ChatEvent) -> list[Turn]:
    """Return the turns to be judged, oldest first; empty where the event holds no visible text."""
    turns = [Turn(message.role, message.content) for message in event.messages if is_visible(message.content)]
    if turns:
        return turns
    for text in (event.formatted_chat, event.query):
        if text is not None and is_visible(text):
            return [Turn(Role.USER, text)]
    return []
