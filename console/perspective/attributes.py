"""The attributes that a bundle answers, by its taxonomy, and the score of each.

A category names the attribute that means the same (`perspective` in the taxonomy's file). A taxonomy that names none
answers none: the probability of something else must not pass for one.
"""

from collections.abc import Mapping

from model import Classification
from schemas import Taxonomy

_DECIMALS = 6


class Attributes:
    """The attributes of one taxonomy."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._codes: dict[str, list[str]] = {}
        for category in taxonomy.categories:
            if category.perspective is not None:
                self._codes.setdefault(category.perspective, []).append(category.code)

    def __contains__(self, name: object) -> bool:
        return name in self._codes

    @property
    def names(self) -> list[str]:
        """Their names, sorted."""
        return sorted(self._codes)

    def codes(self, name: str) -> list[str]:
        """Return the categories that mean an attribute."""
        return self._codes[name]

    def score(self, name: str, classification: Classification) -> float:
        """Return the sum of the evidence of the attribute's categories, 0..1."""
        evidence: Mapping[str, float] = classification.evidence
        return min(1.0, round(sum(evidence[code] for code in self._codes[name]), _DECIMALS))
