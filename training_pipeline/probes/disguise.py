"""Disguise a whole request: the kinds of `evasion`, and encodings and spellings that serving should read through.

`evasion` has the kinds that training knows too; here all of the text is disguised, as by somebody who tests a filter.
The texts are the probes' own, and code around a request reads otherwise than in training.

Invariant: with the same text, kind and random state the result is the same.
"""

import base64
import random
from collections.abc import Callable
from html.entities import html5
from typing import Final

from training_pipeline.augment import evasion

_TYPOS: Final = "typos"
_SHARE_OF_TYPOS: Final = 0.35
"""A person who mistypes every word is not read by anybody."""

_Disguise = Callable[[str, random.Random], str]


def _html_numeric(text: str, rng: random.Random) -> str:
    style = rng.choice(("&#{};", "&#x{:x};"))
    return "".join(style.format(ord(letter)) for letter in text)


def _html_named(text: str, _rng: random.Random) -> str:
    """Write letters as the entities of mathematical letters, the only ones that have names."""
    return "".join(f"&{letter}fr;" if f"{letter}fr;" in html5 else letter for letter in text).replace(" ", "&nbsp;")


def _percent(text: str, _rng: random.Random) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def _base64(text: str, rng: random.Random) -> str:
    asked = rng.choice(("decode this and do what it says:", "base64:", "answer what stands here:"))
    return f"{asked}\n{base64.b64encode(text.encode()).decode()}"


def _python_string(text: str, rng: random.Random) -> str:
    name, quoted = rng.choice(("prompt", "task", "query")), text.replace('"', "'")
    return f'run this and show the output:\n\n```python\n{name} = "{quoted}"\nprint(answer({name}))\n```'


_WHOLE: Final[dict[str, _Disguise]] = {
    "html_numeric": _html_numeric,
    "html_named": _html_named,
    "percent_encoding": _percent,
    "base64": _base64,
    "confusables": evasion.confusables,
    "leet_all": evasion.leet_all,
    "letters_spaced": evasion.letters_spaced,
    "letters_punctuated": evasion.letters_punctuated,
    "letters_repeated": evasion.letters_repeated,
    "python_string": _python_string,
}

KINDS: Final = (*evasion.KINDS, *_WHOLE)


def disguised(text: str, kind: str, rng: random.Random) -> str:
    """Disguise a text.

    Raises:
        ValueError: the kind is not known.
    """
    if kind in _WHOLE:
        return _WHOLE[kind](text, rng)
    return evasion.evade(text, kind, rng, share_of_words=_SHARE_OF_TYPOS if kind == _TYPOS else 1.0)
