"""The 13 conversation categories, their names and the default banned set.

Invariant: the codes, the names and the default banned set are written down here and nowhere else.
Source: the categories of the Thrad.ai Conversation Classifiers.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Category(StrEnum):
    """One label per conversation: what the user wants in the conversation as a whole."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"
    F = "F"
    G = "G"
    H = "H"
    I = "I"  # noqa: E741  the code is part of the contract
    J = "J"
    K = "K"
    L = "L"
    M = "M"


CODES: Final[tuple[str, ...]] = tuple(category.value for category in Category)
"""The 13 codes in the order of the model's output columns."""

CATEGORY_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "A": "academic_help",
        "B": "personal_writing_or_communication",
        "C": "writing_and_editing",
        "D": "creative_writing_and_role_play",
        "E": "general_guidance_and_info",
        "F": "programming_and_data_analysis",
        "G": "creative_ideation",
        "H": "purchasable_products",
        "I": "greetings_and_chitchat",
        "J": "relationships_and_personal_reflection",
        "K": "media_generation_or_analysis",
        "L": "other",
        "M": "other_obscene_or_illegal",
    }
)

DEFAULT_BANNED: Final[frozenset[str]] = frozenset({"D", "J", "M"})
"""Categories that never carry an ad under the default policy."""
