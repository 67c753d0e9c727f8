"""Of which taxonomy a verdict's category is, from the verdict's JSON. Pure."""

from collections.abc import Mapping
from typing import Any

from schemas.taxonomy import CHAT_13


def taxonomy_name(verdict: Mapping[str, Any]) -> str:
    """Return the name of a verdict's taxonomy; a verdict of version 1 names none and is of chat-13.

    Raises:
        KeyError, TypeError: it is no verdict.
    """
    taxonomy = verdict.get("taxonomy")
    return CHAT_13.name if taxonomy is None else str(taxonomy["name"])
