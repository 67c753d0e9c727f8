"""Disguise text the way people do who want a filter to miss it, for training augmentation and for recall under attack.

The serving windowing already undoes full-width letters (NFKC) and drops zero-width characters; both are here so that a
report shows it. Look-alike letters follow Unicode Technical Standard 39 (confusables), the frequent ones only.

Invariant: with the same text, kind and random state the result is the same; empty text stays empty.
"""

import random
import re
from collections.abc import Callable
from typing import Final

from schemas import Role, Turn

_LEET: Final = {"a": "4@", "b": "8", "e": "3", "g": "9", "i": "1!", "l": "1|", "o": "0", "s": "5$", "t": "7+", "z": "2"}
_LOOK_ALIKE: Final = {
    "a": "а", "c": "с", "d": "ԁ", "e": "е", "h": "һ", "i": "і", "j": "ј", "l": "ӏ", "n": "ո", "o": "о", "p": "р",
    "q": "ԛ", "s": "ѕ", "u": "ս", "v": "ѵ", "w": "ԝ", "x": "х", "y": "у", "A": "А", "B": "В", "C": "С", "E": "Е",
    "H": "Н", "I": "І", "K": "К", "M": "М", "O": "О", "P": "Р", "S": "Ѕ", "T": "Т", "X": "Х", "Y": "У",
}  # fmt: skip
_INVISIBLE: Final = "\u200b\u200c\u200d\u2060"
_FULL_WIDTH_SHIFT: Final = 0xFEE0
_WORD: Final = re.compile(r"\w{3,}")

_SHARE_OF_LETTERS: Final = 0.5
_SHARE_OF_WORDS: Final = 0.35
"""Enough of the words to hide what matters, few enough that a person still reads the text with ease."""


def _leetspeak(word: str, rng: random.Random) -> str:
    return "".join(
        rng.choice(_LEET[letter.lower()]) if letter.lower() in _LEET and rng.random() < _SHARE_OF_LETTERS else letter
        for letter in word
    )


def _spaced_letters(word: str, rng: random.Random) -> str:
    return rng.choice((" ", ".", "-", "_")).join(word)


def _homoglyphs(word: str, rng: random.Random) -> str:
    return "".join(
        _LOOK_ALIKE[letter] if letter in _LOOK_ALIKE and rng.random() < _SHARE_OF_LETTERS else letter for letter in word
    )


def _zero_width(word: str, rng: random.Random) -> str:
    return "".join(letter + rng.choice(_INVISIBLE) for letter in word)


def _full_width(word: str, _rng: random.Random) -> str:
    return "".join(chr(ord(letter) + _FULL_WIDTH_SHIFT) if "!" <= letter <= "~" else letter for letter in word)


def _typos(word: str, rng: random.Random) -> str:
    """Swap two neighbouring letters, or drop or double one."""
    place = rng.randrange(len(word) - 1)
    return rng.choice(
        (
            word[:place] + word[place + 1] + word[place] + word[place + 2 :],
            word[:place] + word[place + 1 :],
            word[: place + 1] + word[place:],
        )
    )


_DISGUISES: Final[dict[str, Callable[[str, random.Random], str]]] = {
    "leetspeak": _leetspeak,
    "spaced_letters": _spaced_letters,
    "homoglyphs": _homoglyphs,
    "zero_width": _zero_width,
    "full_width": _full_width,
    "typos": _typos,
}

KINDS: Final = tuple(_DISGUISES)


def evade(text: str, kind: str, rng: random.Random, *, share_of_words: float = _SHARE_OF_WORDS) -> str:
    """Disguise a share of the words of a text (words of three letters and more).

    Args:
        text: Any text.
        kind: One of `KINDS`.
        rng: Chooses the words and letters.
        share_of_words: Chance of each word to be disguised, 0..1.

    Raises:
        ValueError: the kind is not known.
    """
    disguise = _DISGUISES.get(kind)
    if disguise is None:
        raise ValueError(f"evasion kind is {kind!r}; expected one of {', '.join(KINDS)}")

    def replace(match: re.Match[str]) -> str:
        return disguise(match.group(), rng) if rng.random() < share_of_words else match.group()

    return _WORD.sub(replace, text)


def evade_turns(
    turns: list[Turn], kind: str, rng: random.Random, *, share_of_words: float = _SHARE_OF_WORDS
) -> list[Turn]:
    """Disguise the user's turns of a conversation; assistants do not evade."""
    return [
        turn._replace(text=evade(turn.text, kind, rng, share_of_words=share_of_words))
        if turn.role is Role.USER
        else turn
        for turn in turns
    ]
