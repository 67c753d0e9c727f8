"""Bundles of four taxonomies for tests of the worker, and what each says of a word.

The shipped bundle stands for chat-13. The others are made on the spot, one word for each category: what the recipes and
`describe` build is tested where they are. To try a bundle of yours here, put its folder and a text for each category
into `four_bundles`.
"""

from dataclasses import dataclass
from pathlib import Path

from model import load_bundle
from schemas import CHAT_13, Taxonomy
from schemas.taxonomy import shipped_taxonomy
from tests.tiny_bundle import tiny_bundle
from tests.tiny_taxonomies import PETS


@dataclass(frozen=True)
class TaxonomyBundle:
    """A bundle and what is known of its answers."""

    folder: Path
    taxonomy: Taxonomy
    words: dict[str, str]
    """Of some words the category that a text with this word gets."""

    @property
    def digest(self) -> str:
        """The bundle's digest."""
        return load_bundle(self.folder).digest


def four_bundles(shipped: Path, folder: Path) -> dict[str, TaxonomyBundle]:
    """Write them; return them by the taxonomy's name.

    Args:
        shipped: The shipped bundle, which stays where it is.
        folder: Where the others go.
    """
    toxicity = {"stupid": "toxic", "ignore": "jailbreak", "garden": "not_toxic"}
    community = {"why": "question", "because": "answer", "garden": "comment"}
    pets = {"cat": "cat", "bark": "dog"}
    return {
        CHAT_13.name: TaxonomyBundle(shipped, CHAT_13, {}),
        "toxicity": _tiny(folder, shipped_taxonomy("toxicity"), toxicity),
        "community": _tiny(folder, shipped_taxonomy("community"), community),
        # Learnt from descriptions, it has no chats to calibrate on.
        PETS.name: _tiny(folder, PETS, pets, n_chats_each=0),
    }


def _tiny(folder: Path, taxonomy: Taxonomy, words: dict[str, str], *, n_chats_each: int = 60) -> TaxonomyBundle:
    made = tiny_bundle(folder / taxonomy.name, taxonomy, words, n_chats_each=n_chats_each)
    return TaxonomyBundle(made, taxonomy, words)
