"""Labelled sets of described classes: a taxonomy and texts of its classes, to measure on.

Invariant: every class of a set has a description and at least two texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.calibration import FloatArray
from model.described.embedding import Embedder
from model.described.fit import prototype
from model.described.sentences import sentences
from schemas import Taxonomy
from schemas.taxonomy import load_taxonomy
from training_pipeline.describe.class_options import examples_in

DEFAULT_SETS: Final = Path("data/described")
OTHER_WORDS: Final = "-other-words"
"""A taxonomy with this at the end of its file's name describes the same classes in other words."""

_LEAST_TEXTS: Final = 2


@dataclass(frozen=True)
class DescribedSet:
    """A taxonomy and texts of its classes."""

    name: str
    taxonomy: Taxonomy
    texts: list[str]
    classes: NDArray[np.int64]
    """Column of each text's class, int64 [n_texts]."""


@dataclass(frozen=True)
class EmbeddedSet:
    """The same to the encoder. Unit vectors."""

    name: str
    texts: FloatArray
    """float32 [n_texts, n_dimensions]."""
    classes: NDArray[np.int64]
    """int64 [n_texts]."""
    prototypes: FloatArray
    """float32 [n_classes, n_dimensions], see `model.described.fit.prototype`."""
    descriptions: FloatArray
    """float32 [n_classes, n_dimensions], of the descriptions as they are."""


def read_sets(folder: Path) -> list[DescribedSet]:
    """Return the sets in a folder: each NAME.toml with NAME.csv, or with that of its name without `OTHER_WORDS`.

    Raises:
        ValueError: there is none, or one cannot be read or lacks descriptions or texts.
    """
    found = [_read(path) for path in sorted(folder.glob("*.toml"))]
    if not found:
        raise ValueError(f"{folder}: holds no .toml; expected taxonomies, and a .csv of texts beside each")
    return found


def embedded(one: DescribedSet, embedder: Embedder) -> EmbeddedSet:
    """Return what a set is to the encoder."""
    described = [category.description for category in one.taxonomy.categories]
    return EmbeddedSet(
        name=one.name,
        texts=embedder.vectors(one.texts),
        classes=one.classes,
        prototypes=np.stack([prototype(embedder.vectors(sentences(description))) for description in described]),
        descriptions=embedder.vectors(described),
    )


def shift_of(one: EmbeddedSet) -> FloatArray:
    """Return what sets a set's texts apart from their classes' prototypes, float32 [n_dimensions]."""
    apart = [one.texts[one.classes == i].mean(axis=0) - of_class for i, of_class in enumerate(one.prototypes)]
    shift: FloatArray = np.mean(apart, axis=0, dtype=np.float32)
    return shift


def _read(path: Path) -> DescribedSet:
    taxonomy = load_taxonomy(path)
    table = path.with_name(path.stem.removesuffix(OTHER_WORDS) + ".csv")
    rows = examples_in(table)
    names, texts = zip(*rows, strict=True)
    taxonomy.require(frozenset(names), of=str(table))
    classes = np.array([taxonomy.columns[name] for name in names], dtype=np.int64)
    _check_complete(path, taxonomy, classes)
    return DescribedSet(path.stem, taxonomy, list(texts), classes)


def _check_complete(path: Path, taxonomy: Taxonomy, classes: Sequence[int] | NDArray[np.int64]) -> None:
    counts = np.bincount(classes, minlength=len(taxonomy.codes))
    poor = [
        category.code
        for category, n_texts in zip(taxonomy.categories, counts.tolist(), strict=True)
        if not category.description or n_texts < _LEAST_TEXTS
    ]
    if poor:
        raise ValueError(
            f"{path}: {', '.join(poor)} lacks a description or has fewer than {_LEAST_TEXTS} texts; expected both to "
            "measure on; write them"
        )
