"""Which text of an event is judged.

`messages` where one of them has visible text, else `formatted_chat`, else `query`. Text counts as visible when
something is left after white space, control and format characters (zero-width joiners, direction marks, BOMs) and
blank letters (Hangul fillers, the empty Braille cell) are taken away. A character that Python's Unicode tables do not
know counts as visible: it is most often an emoji of a later Unicode version.

Invariant: one rule decides what is classified, what is fingerprinted and what is rejected as empty.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from schemas.chat_event import ChatEvent, Role


class Turn(NamedTuple):
    """One message that has visible text."""

    role: Role
    text: str


KEPT_END_CHARACTERS: Final = 50_000
"""From each end of a longer text, characters that are kept; what lies between is fingerprinted and never read."""
_KEPT_TURNS: Final = 1_000
_KEPT_USER_CHARACTERS: Final = 20_000
"""More of the user's text than is ever judged, so that whoever judges it sees that some is left."""
_BEGINNING_CHARACTERS: Final = 2

_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Mn", "Me", "Co", "Cs"})

_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Letters and symbols to Unicode, nothing to the eye."""


def is_visible(text: str) -> bool:
    """Say whether any character of `text` would show, between the ends that are kept of a long one aside."""
    # Nearly every text begins with a printable ASCII character; only hostile ones are read to the end, each character
    # of them once, since a million times the same costs 60 ms.
    if "!" <= text[:1] <= "~":
        return True
    return _any_visible(text[:_BEGINNING_CHARACTERS]) or _any_visible(set(ends_of(text)[_BEGINNING_CHARACTERS:]))


def _any_visible(characters: Iterable[str]) -> bool:
    # A plain loop, because any() would build a generator for each message.
    for character in characters:
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


def longest_user_message(turns: Iterable[Turn]) -> int:
    """Return the characters of the user's longest message; 0 where there is none."""
    return max((len(turn.text) for turn in turns if turn.role is Role.USER), default=0)


def kept_turns(turns: list[Turn]) -> list[Turn]:
    """Return what is kept in memory of a conversation, oldest first; an ordinary one is returned as it is.

    Kept are the newest 1,000 turns, more where they hold less than 20,000 characters of the user, and the first turn of
    the user; of each text its ends. What is left out belongs to the conversation's fingerprint all the same.
    """
    if len(turns) > _KEPT_TURNS:
        start = _first_kept(turns)
        first_user = next((i for i, turn in enumerate(turns) if turn.role is Role.USER), start)
        turns = turns[first_user : min(first_user + 1, start)] + turns[start:]
    if any(len(turn.text) > 2 * KEPT_END_CHARACTERS for turn in turns):
        return [Turn(role, ends_of(text)) for role, text in turns]
    return turns


def _first_kept(turns: Sequence[Turn]) -> int:
    n_characters = 0
    for i in range(len(turns) - 1, -1, -1):
        if turns[i].role is Role.USER:
            n_characters += len(turns[i].text)
        if len(turns) - i >= _KEPT_TURNS and n_characters > _KEPT_USER_CHARACTERS:
            return i
    return 0


def ends_of(text: str) -> str:
    """Return a text, or the two ends of a long one; those of the result are the result."""
    if len(text) <= 2 * KEPT_END_CHARACTERS:
        return text
    return f"{text[:KEPT_END_CHARACTERS]} {text[-KEPT_END_CHARACTERS:]}"
