"""Which figures one person sees: everybody those of the automation and of all together; each reviewer only an admin."""

from dataclasses import asdict
from typing import Any, Final

from console.review.figures import Figures, ModelAgreement

_OF_ALL: Final = (
    "n_items",
    "agreement",
    "agreement_by_category",
    "model_by_category",
    "precision",
    "precision_overall",
)


def shown_figures(figures: Figures, person: str, *, is_admin: bool) -> dict[str, Any]:
    """Return figures, JSON-ready.

    Args:
        figures: All of them.
        person: Who asks: their own row is always there.
        is_admin: Whether the rows of the others, and of each pair, are.
    """
    document = asdict(figures)
    rows = [row for row in document["reviewers"] if is_admin or row["reviewer"] == person]
    pairs = [pair for pair in document["agreement_by_pair"] if is_admin]
    return {
        **{name: document[name] for name in _OF_ALL},
        "model": asdict(_of_all_categories(figures)),
        "reviewers": rows,
        "pairs": pairs,
    }


def _of_all_categories(figures: Figures) -> ModelAgreement:
    rows = figures.model_by_category.values()
    return ModelAgreement(
        sum(row.n_named for row in rows),
        sum(row.n_same for row in rows),
        sum(row.n_named_blind for row in rows),
        sum(row.n_same_blind for row in rows),
    )
