"""From a class's name, as a user writes it, to the code that stands in verdicts and metrics.

A name that is a code stays as it is; another becomes a slug, and stands beside it as the category's name.

Invariant: two classes never share a code, not even but for case.
"""

import re
import unicodedata
import zlib
from collections.abc import Iterable
from typing import Final

from model.errors import ClassesRefused

MAX_NAME_CHARACTERS: Final = 128

_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_MAX_CODE_CHARACTERS: Final = 64


def code_of(name: str) -> str:
    """Return the category code of a class's name.

    A name without a Latin letter or a digit gets a code that is made of its CRC-32, so that the code stays the same
    wherever the class is named.
    """
    if _CODE.fullmatch(name):
        return name
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_MAX_CODE_CHARACTERS].strip("-")
    return slug or f"class-{zlib.crc32(name.encode('utf-8', 'replace')):08x}"


def codes_of(names: Iterable[str]) -> dict[str, str]:
    """Return the codes of classes, by name, in their order.

    Raises:
        ClassesRefused: two names get the same code.
    """
    codes: dict[str, str] = {}
    taken: dict[str, str] = {}
    for name in names:
        code = code_of(name)
        other = taken.setdefault(code.casefold(), name)
        if other != name:
            raise ClassesRefused(
                f"classes {other!r} and {name!r} both get the code {code!r}, case aside; expected one code for each; "
                "rename one of them"
            )
        codes[name] = code
    return codes
