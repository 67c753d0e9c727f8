"""Sort licence texts, as public data sets state them, into the classes that training can be limited to."""

import re
from typing import Final

UNKNOWN: Final = "unknown"

_RULES: Final = (
    # First match wins, strictest first: "MIT (code); data CC BY-NC-SA" must not pass as permissive.
    (re.compile(r"unknown|unclear", re.IGNORECASE), UNKNOWN),
    (re.compile(r"\bNC\b|non-?commercial", re.IGNORECASE), "non_commercial"),
    (re.compile(r"\bSA\b|share.?alike|\bL?GPL", re.IGNORECASE), "share_alike"),
    (re.compile(r"^(MIT|Apache|BSD|ISC|CC0|CC BY|public domain)\b", re.IGNORECASE), "permissive"),
)


def licence_class(licence: str) -> str:
    """Return permissive, share_alike, non_commercial or unknown; what no rule knows is unknown."""
    return next((name for pattern, name in _RULES if pattern.search(licence)), UNKNOWN)
