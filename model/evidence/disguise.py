"""Other readings of a text that looks disguised: decoded, and with look-alikes, digits, gaps and repeats undone.

The plain text is judged as it is; these readings are judged beside it, as pieces, and only where the text looks
disguised, so that ordinary texts cost a few searches and are never judged by a distortion of themselves.

Invariant: linear time; a reading is no longer than the text it was made from.
Source: Unicode Technical Standard 39, confusables.txt (the frequent ones with a Latin letter); RFC 4648; RFC 3986.
"""

import base64
import binascii
import html
import re
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import unquote

_FEWEST_LETTERS: Final = 4
"""Letters that must have been hidden before a text counts as disguised."""

_ENTITY: Final = re.compile(r"&(?:#[0-9]{2,7}|#[xX][0-9a-fA-F]{2,6}|[A-Za-z]{1,31});?")
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_ESCAPE: Final = re.compile(r"\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]{4,})*={0,2}")
_HEX: Final = re.compile(r"\b(?:[0-9A-Fa-f]{2}[\s:]?){10,}")
_PROSE_WORD: Final = re.compile(r"[A-Za-z']{2,}")
_PROSE_SHARE: Final = 0.75
"""Share of letters and spaces from which on decoded bytes are prose; chance gives a quarter."""

_STRING: Final = re.compile(r"(?:[=(\[,{+]|[\"']\s*:)\s*[fFrRbBuU]{0,2}(\"{3}|'{3}|[\"'])(.{16,}?)\1", re.DOTALL)
_FENCED: Final = re.compile(r"(```|~~~)(.*?)(?:\1|\Z)", re.DOTALL)
_COMMENT: Final = re.compile(r"(?m)(?:^|\s)(?:#|//)[^\S\n]*(\S.{16,})$")
_FEWEST_WORDS: Final = 3
_SPELLED_EVERY: Final = 4
"""With a space after each letter and three after each word, a lone letter comes every two to four characters."""

_LOOK_ALIKES: Final = (
    "\u0430\u0251\u03b1\u0441\u03f2\u0501\u0257\u0435\u0454\u03b5\u0261\u0581\u04bb\u0570\u0456\u0457\u03b9\u0131\u0269"
    "\u0458\u03ba\u043a\u04cf\u217c\u0578\u043f\u03b7\u043e\u03bf\u0585\u03c3\u04e9\u0440\u03c1\u051b\u0566\u0455\ua731"
    "\u0442\u03c4\u057d\u03c5\u03bc\u03bd\u0475\u051d\u0561\u03c9\u0445\u03c7\u0443\u03b3\u04af\u0290\u0410\u0391\u0412"
    "\u0392\u0421\u0415\u0395\u041d\u0397\u0406\u0399\u0408\u041a\u039a\u041c\u039c\u039d\u041e\u039f\u0420\u03a1\u0405"
    "\u0422\u03a4\u03a5\u0423\u0425\u03a7\u0396\u04ae\u0474\u051c\u050c\u0196\u1d00\u0299\u1d04\u1d05\u1d07\ua730\u0262"
    "\u029c\u026a\u1d0a\u1d0b\u029f\u1d0d\u0274\u1d0f\u1d18\u0280\u1d1b\u1d1c\u1d20\u1d21\u028f\u1d22\u13aa\u13f4\u13df"
    "\u13a0\u13ac\u13c0\u13bb\u13a5\u13ab\u13e6\u13de\u13b7\u13e2\u13a1\u13da\u13a2\u13d9\u13b3\u13bd\u13c3"
)
_LATIN: Final = (
    "aaaccddeeegghhiiiiijkkllnnnoooooppqqssttuuuvvwwwxxyyyzAABBCEEHHIIJKKMMNOOPPSTTYYXXZYVWGI"
    "abcdefghijklmnoprtuvwyzABCDEGHiJKLMPRSTVWYZ"
)
_SQUARED: Final = {first + i: chr(ord("a") + i) for first in (0x1F150, 0x1F170, 0x1F1E6) for i in range(26)}
"""Letters in circles and squares, and the letters of flags."""
_TO_LATIN: Final = str.maketrans(_LOOK_ALIKES, _LATIN) | _SQUARED
_FOREIGN_WORD: Final = re.compile(r"(?<!\w)\w*[^\W\d_a-zA-Z]\w*")
_SQUARED_LETTERS: Final = re.compile("[\U0001f150-\U0001f169\U0001f170-\U0001f189\U0001f1e6-\U0001f1ff]")
_FEWEST_SQUARED: Final = 8
"""Fewer may be flags."""
_STACKED: Final = re.compile("[\u0300-\u036f\u0483-\u0487\u20d0-\u20f0]+")

_LEET_WORD: Final = re.compile(r"(?<![\w@$!|+])[\w@$!|+]*[A-Za-z][\w@$!|+]*")
_LEET: Final = re.compile(r"[0134578@$!|+]+")
_ORDINAL: Final = re.compile(r"(?:st|nd|rd|th)\b")
_LEET_DIGITS: Final = str.maketrans("0134578@$!|+9", "oieastbasiltg")
_LEET_ENDINGS: Final = frozenset("0@$|")
_LONGEST_LEET: Final = 2
_FEWEST_LEET_WORDS: Final = 2

_SPACED: Final = re.compile(
    r"(?<![^\W_])[^\W\d_](?:([ .])[^\W\d_](?:\1[^\W\d_]){2,}|([-_*~/|\u00b7])[^\W\d_](?:\2[^\W\d_])+)(?![^\W_])"
)
_MAYBE_SPACED: Final = re.compile(r"[^\W\d_]([ .\-_*~/|\u00b7])[^\W\d_]\1[^\W\d_]")
"""Far quicker than `_SPACED`, and true wherever that is."""
_WIDE_GAP: Final = re.compile(r"\s{2,}")
_LONE_LETTER: Final = re.compile(r"(?<!\S)\S(?!\S)")
_REPEATED: Final = re.compile(r"([A-Za-z])\1\1+")


def decoded(text: str) -> Iterator[str]:
    """Yield what is encoded in a message: entities, percent signs, escapes, base64, hex digits, strings of code.

    Args:
        text: As the user sent it.
    """
    if "&" in text and _hidden(_ENTITY, text, html.unescape) >= _FEWEST_LETTERS:
        yield html.unescape(text)
    if "%" in text and _hidden(_PERCENT, text, _of_percent) >= _FEWEST_LETTERS:
        yield unquote(text, errors="replace")
    if "\\" in text and _hidden(_ESCAPE, text, _of_escape) >= _FEWEST_LETTERS:
        yield _ESCAPE.sub(lambda match: _of_escape(match[0]), text)
    for match in _BASE64.finditer(text):
        yield from _prose_of_base64(match[0])
    for match in _HEX.finditer(text):
        yield from _prose(_bytes_of_hex(match[0]))
    if _is_spelled(text):
        yield " ".join("".join(word.split()) for word in _WIDE_GAP.split(text))
    yield from (found for found in _written_in_code(text) if len(_PROSE_WORD.findall(found)) >= _FEWEST_WORDS)


def undisguised(text: str) -> str | None:
    """Return a piece with its letters as a reader sees them; None where it does not look disguised.

    Args:
        text: Normalised.
    """
    found = _plain_repeats(_plain_gaps(_plain_digits(_plain_letters(text))))
    return None if found == text else found


def _written_in_code(text: str) -> Iterator[str]:
    """Yield the strings of code, and the comments in what is fenced."""
    yield from (match[2] for match in _STRING.finditer(text))
    if "```" in text or "~~~" in text:
        for block in _FENCED.finditer(text):
            yield from (match[1] for match in _COMMENT.finditer(block[2]))


def _is_spelled(text: str) -> bool:
    """Say whether most of a text stands letter by letter, with wider gaps between its words."""
    return len(_LONE_LETTER.findall(text)) > len(text) // _SPELLED_EVERY and _WIDE_GAP.search(text.strip()) is not None


def _hidden(encoded: re.Pattern[str], text: str, decode: Callable[[str], str]) -> int:
    """Count letters and spaces that stand encoded in a text."""
    return sum(
        character.isalpha() or character == " " for match in encoded.findall(text) for character in decode(match)
    )


def _of_percent(text: str) -> str:
    return chr(int(text[1:], 16))


def _of_escape(text: str) -> str:
    return chr(int(text[2:], base=16))  # noqa: FURB166  (the prefix is a backslash, not a zero)


def _prose_of_base64(text: str) -> Iterator[str]:
    compact = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    compact = compact[: len(compact) - (len(compact) % 4 == 1)]
    try:
        yield from _prose(base64.b64decode(compact + "=" * (-len(compact) % 4)))
    except binascii.Error:
        return


def _bytes_of_hex(text: str) -> bytes:
    digits = re.sub(r"[\s:]", "", text)
    return bytes.fromhex(digits[: len(digits) // 2 * 2])


def _prose(content: bytes) -> Iterator[str]:
    """Yield the bytes as text where that is prose."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return
    n_plain = sum(character.isalpha() or character.isspace() for character in text)
    if n_plain >= _PROSE_SHARE * len(text) and text.isprintable() and _PROSE_WORD.search(text):
        yield text


def _plain_letters(text: str) -> str:
    """Put Latin letters for their look-alikes where words mix scripts or consist of look-alikes alone."""
    if text.isascii():
        return text
    text = _STACKED.sub("", text) if len(_STACKED.findall(text)) >= _FEWEST_LETTERS else text
    foreign = _FOREIGN_WORD.findall(text)
    plain = [word.translate(_TO_LATIN).isascii() for word in foreign]
    mixed = any(
        is_plain and len(word) >= _FEWEST_WORDS and any("a" <= letter.lower() <= "z" for letter in word)
        for word, is_plain in zip(foreign, plain, strict=True)
    )
    alone = sum(is_plain and len(word) >= _FEWEST_WORDS for word, is_plain in zip(foreign, plain, strict=True))
    squared = len(_SQUARED_LETTERS.findall(text)) >= _FEWEST_SQUARED
    if mixed or squared or (alone > 1 and 2 * alone >= len(foreign)):
        return text.translate(_TO_LATIN)
    return text


def _plain_digits(text: str) -> str:
    """Put letters for digits and signs inside of words, where enough words have them."""
    if sum(_stands_for_letters(match) for match in _LEET.finditer(text)) < _FEWEST_LEET_WORDS:
        return text
    return _LEET_WORD.sub(lambda match: match[0].rstrip("!+").translate(_LEET_DIGITS), text)


def _stands_for_letters(found: re.Match[str]) -> bool:
    """Say whether digits or signs stand between letters, or where a word begins or ends with a letter left out."""
    text, start, end = found.string, found.start(), found.end()
    before, after = text[max(0, start - 3) : start], text[end : end + 2]
    if before[-1:].isalpha() and after[:1].isalpha():
        return True
    if not (before[-1:].isalnum() or before[-1:] == "_") and end - start <= _LONGEST_LEET and after.isalpha():
        return len(after) > 1 and _ORDINAL.match(text, end) is None and found[0] != "+"
    return len(before) > 2 and before.isalpha() and not after[:1].isalnum() and set(found[0]) <= _LEET_ENDINGS  # noqa: PLR2004


def _plain_gaps(text: str) -> str:
    """Close the gaps in words whose letters stand apart."""
    if _MAYBE_SPACED.search(text) is None:
        return text
    return _SPACED.sub(lambda match: match[0].replace(match[1] or match[2], ""), text)


def _plain_repeats(text: str) -> str:
    """Take repeated letters once, where more than one word has them."""
    if len(_REPEATED.findall(text)) < _FEWEST_LEET_WORDS:
        return text
    return _REPEATED.sub(r"\1", text)
