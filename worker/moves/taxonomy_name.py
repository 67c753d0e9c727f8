"""Of which taxonomy a verdict's category is, from the verdict's JSON. Pure.

A name alone does not make two taxonomies one: anyone may give it again. A category that the other taxonomy does not
have cannot be compared with any of its categories.
"""

from collections.abc import Container, Mapping
from typing import Any

from schemas.taxonomy import CHAT_13


def taxonomy_name(verdict: Mapping[str, Any]) -> str:
    """Return the name of a verdict's taxonomy; a verdict of version 1 names none and is of chat-13.

    Raises:
        KeyError, TypeError: it is no verdict.
    """
    taxonomy = verdict.get("taxonomy")
    return CHAT_13.name if taxonomy is None else str(taxonomy["name"])


def are_comparable(code: str, codes: Container[str], other_code: str, other_codes: Container[str]) -> bool:
    """Say whether two categories may be compared, of taxonomies of one name: each taxonomy has the other's category.

    Args:
        code: What one verdict says.
        codes: All codes of its taxonomy.
        other_code: What the other verdict says.
        other_codes: All codes of that one's taxonomy.
    """
    return code in other_codes and other_code in codes
