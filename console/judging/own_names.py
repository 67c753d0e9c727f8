"""Remedies as they hold for the console, in errors that reading and model write for the worker."""

import re
from typing import Final

_SETTING: Final = re.compile(r"\bMODERATION_(?=(?:CODEC|MODEL)__)")
_ENVELOPE: Final = re.compile(r": set [^;]*\bMODERATION_KAFKA__VALUE_FORMAT=\w+(?: here)?")


def with_own_names(error: str) -> str:
    """Return an error with the console's settings where it has the worker's; envelopes are opened by nobody here."""
    return _ENVELOPE.sub(": send the event inside of it", _SETTING.sub("CONSOLE_", error))
