"""A small taxonomy of our own that bans nothing."""

from schemas import Taxonomy
from schemas.taxonomy import TaxonomyCategory

PETS = Taxonomy(
    name="pets",
    version="1",
    categories=(
        TaxonomyCategory(code="cat", name="Cat", description="Cats are small animals that meow and chase mice."),
        TaxonomyCategory(code="dog", name="Dog", description="Dogs are loyal animals that bark and fetch sticks."),
    ),
)
