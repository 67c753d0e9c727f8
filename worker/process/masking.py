"""Hide credentials of addresses (`user:password@host`) in whatever is shown: logs, errors, tables.

Secrets have settings of their own, which no output holds. This is for those that stand where none belongs: in the
address of a broker, a path, or the text of a library that quotes one.
"""

import re
from pathlib import PurePath
from typing import Any, Final

_MASK: Final = "***@"
_LONGEST: Final = 1_024
"""Longest credentials, characters: a token may have hundreds. Without an end the time would be the square of a word's
length, and lines may quote words from outside."""
_WITH_SCHEME: Final = re.compile(rf"(?<=://)[^\s\"'<>]{{0,{_LONGEST}}}@")
"""Up to the last @ of the word: a password that is not percent-encoded may hold slashes and more of them."""
_WITHOUT_SCHEME: Final = re.compile(
    rf"(?:(?<![^\s/@:,;=\"'<>()\[\]{{}}])[^\s/@:,;=\"'<>()\[\]{{}}]+)?:(?!//)[^\s@\"'<>]{{1,{_LONGEST}}}@(?=[\w\[])"
)
"""`user:password@` before what could be a host."""


def masked(text: str) -> str:
    """Return a text without the credentials of the addresses in it."""
    if "@" not in text:
        return text
    return _WITHOUT_SCHEME.sub(_MASK, _WITH_SCHEME.sub(_MASK, text))


def masked_all(value: Any) -> Any:
    """Return a value of a log line, with all texts in it masked."""
    match value:
        case str():
            return masked(value)
        case dict():
            return {name: masked_all(held) for name, held in value.items()}
        case list() | tuple():
            return [masked_all(held) for held in value]
        case PurePath():
            return masked(str(value))
        case BaseException():
            return masked(repr(value))
    return value
