"""Disguise text the way people do who want a filter to miss it, for training augmentation and for recall under attack.

The serving windowing already undoes full-width letters (NFKC) and drops zero-width characters; both are here so that a
report shows it. Look-alike letters follow Unicode Technical Standard 39 (confusables), the frequent ones only.

`KINDS` disguise a share of the words. `WHOLE_KINDS` disguise a whole message in ways that serving does not undo
completely. What serving decodes (entities, percent signs, base64) is no training kind: the model never sees it.

Invariant: with the same text, kind and random state the result is the same; empty text stays empty.
"""

import random
import re
from collections.abc import Callable
from typing import Final

from model.windowing import Windowing, normalise
from schemas import Role, Turn
from training_pipeline.chats.last_message import last_user, with_last_message

_LEET: Final = {"a": "4@", "b": "8", "e": "3", "g": "9", "i": "1!", "l": "1|", "o": "0", "s": "5$", "t": "7+", "z": "2"}
_LOOK_ALIKE: Final = {
    "a": "а", "c": "с", "d": "ԁ", "e": "е", "h": "һ", "i": "і", "j": "ј", "l": "ӏ", "n": "ո", "o": "о", "p": "р",
    "q": "ԛ", "s": "ѕ", "u": "ս", "v": "ѵ", "w": "ԝ", "x": "х", "y": "у", "A": "А", "B": "В", "C": "С", "E": "Е",
    "H": "Н", "I": "І", "K": "К", "M": "М", "O": "О", "P": "Р", "S": "Ѕ", "T": "Т", "X": "Х", "Y": "У",
}  # fmt: skip
_CONFUSABLE: Final = {
    "a": "αаɑ", "b": "Ьᖯ", "c": "ϲсⅽ", "d": "ԁⅾ", "e": "еҽ", "g": "ɡց", "h": "һհ", "i": "іɩι", "j": "јϳ", "k": "κк",
    "l": "ⅼӏ", "m": "ⅿ", "n": "ոռ", "o": "οоօ", "p": "ρр", "q": "ԛգ", "r": "гᴦ", "s": "ѕꜱ", "t": "τт", "u": "υս",
    "v": "νѵ", "w": "ԝɯ", "x": "хⅹ", "y": "уγ", "z": "ᴢ",
}  # fmt: skip
_LEET_ALL: Final = str.maketrans("oeiastOEIAST", "031457031457")
_LEAST_TOKENS: Final = re.compile(r"[^\W_]+|[^\w\s]|_")
"""What a word-piece tokenizer cuts at least."""
_LETTER: Final = re.compile(r"[a-zA-Z]")
_CODE: Final = (
    'what does this print?\n\n```python\n{name} = "{text}"\nprint({name})\n```',
    'finish this script so that it answers:\n\n```python\n{name} = "{text}"\nreply = chat({name})\n```',
    'const {name} = "{text}";\nconsole.log(await complete({name}));',
    '{name} = """{text}"""\n\nfill in the value that `solve({name})` returns',
    '```json\n{{"{name}": "{text}"}}\n```\nwrite the matching answer field',
)
"""Other words than those of the probes (probes/disguise.py), so that the probes measure more than a phrase."""
_CODE_NAMES: Final = ("message", "text", "s", "question", "user_input", "body")
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


def confusables(text: str, rng: random.Random) -> str:
    """Write every lower-case letter that has some as one of its look-alikes, the rare ones too."""
    return "".join(rng.choice(_CONFUSABLE[letter]) if letter in _CONFUSABLE else letter for letter in text)


def leet_all(text: str, _rng: random.Random) -> str:
    """Write o, e, i, a, s, t as digits wherever they stand."""
    return text.translate(_LEET_ALL)


def letters_spaced(text: str, _rng: random.Random) -> str:
    """Put a space between letters, and three between words."""
    return "   ".join(" ".join(word) for word in text.split())


def letters_punctuated(text: str, rng: random.Random) -> str:
    """Put one mark between the letters of every word."""
    mark = rng.choice(".-_*|")
    return " ".join(mark.join(word) for word in text.split())


def letters_repeated(text: str, rng: random.Random) -> str:
    """Write some letters two to four times."""
    return _LETTER.sub(lambda match: match.group() * rng.choice((1, 1, 2, 3, 4)), text)


def _in_code(text: str, rng: random.Random) -> str:
    return rng.choice(_CODE).format(name=rng.choice(_CODE_NAMES), text=text.replace('"', "'"))


_WHOLE: Final[dict[str, Callable[[str, random.Random], str]]] = {
    "confusables": confusables,
    "leet_all": leet_all,
    "letters_spaced": letters_spaced,
    "letters_punctuated": letters_punctuated,
    "letters_repeated": letters_repeated,
    "in_code": _in_code,
}

WHOLE_KINDS: Final = tuple(_WHOLE)
_TYPOS: Final = "typos"
_EVERY_WORD_RATIO: Final = 0.5


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


def evade_any(turns: list[Turn], windowing: Windowing, rng: random.Random) -> list[Turn] | None:
    """Disguise the user's words by any kind: a share of them, all of them, or the last message as a whole.

    Args:
        turns: The chat, oldest first.
        windowing: The window that a request has to stay in.
        rng: Chooses.

    Returns:
        The new turns; None where the disguise would push a request out of the window that stands in it now: a banned
        label on a row that shows no banned text would teach false alarms.
    """
    kind = rng.choice((*KINDS, *WHOLE_KINDS))
    if kind in _WHOLE:
        changed = with_last_message(turns, lambda text: _WHOLE[kind](text, rng))
    else:
        # A person who mistypes every word is not read by anybody.
        every_word = kind != _TYPOS and rng.random() < _EVERY_WORD_RATIO
        changed = evade_turns(turns, kind, rng, share_of_words=1.0 if every_word else _SHARE_OF_WORDS)
    last = last_user(turns)
    if last is None:
        return None
    fits_before, fits_after = (_fits(normalise(chat[last].text), windowing) for chat in (turns, changed))
    return None if fits_before and not fits_after else changed


def _fits(request: str, windowing: Windowing) -> bool:
    """Say whether the window shows all of a last message; letters that stand alone are a token each."""
    n_tokens = len(_LEAST_TOKENS.findall(request))
    return len(request) <= windowing.last_user.n_characters and n_tokens <= windowing.max_tokens
