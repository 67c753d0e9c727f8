"""Fit the head: what the descriptions say, moved by the examples as far as there are some.

Without examples a text gets the class whose prototype, the mean of its description's sentences, is nearest by cosine.
With examples a ridge regression onto the classes is shrunk towards those scores. Descriptions and texts lie apart, as
"The user wants to know a balance" lies apart from "am i broke", so each side is centred by itself: what sets the two
kinds apart says nothing of the classes. Where few classes have examples, it is known from other classes
(`FrozenEncoder.text_shift`); without that, a class that alone has examples would take every text.

Invariant: where no class has examples, the ranking is that of the prototypes' cosines.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.calibration import FloatArray
from model.described.frozen_encoder import unit_rows
from model.described.head import Head

_Matrix = NDArray[np.float64]

PRIOR_SCALE: Final = 2.0
"""Logits per unit of cosine to a prototype, before any example."""
PENALTY: Final = 1.0
"""Of the squared distance from the prior, in rows: a class with ten examples outweighs it."""
DESCRIPTION_ROWS: Final = 3.0
"""What a described class counts as a row among its examples, once there are `EXAMPLES_FOR_DESCRIPTION` a class."""
EXAMPLES_FOR_DESCRIPTION: Final = 3.0
MOST_ROWS: Final = 10.0
"""What a class's examples count together, at most: more of them are weighed down, so that no class drowns the rest."""
CENTRE_EXAMPLES: Final = 3.0
"""With so many examples in each class, half of the texts' centre is believed."""
SHIFT_CLASSES: Final = 1.0
"""With examples of so many classes, but not of all, half of what sets them apart from descriptions is believed."""


def prototype(sentence_vectors: FloatArray) -> FloatArray:
    """Return the prototype of a described class, a unit vector, float32 [n_dimensions].

    Args:
        sentence_vectors: Unit vectors of the description's sentences, float32 [n_sentences, n_dimensions].
    """
    return _mean_unit(sentence_vectors)


@dataclass(frozen=True)
class Examples:
    """What the classes' examples are to the encoder."""

    vectors: FloatArray
    """Unit vectors, float32 [n_examples, n_dimensions]."""
    classes: NDArray[np.int64]
    """int64 [n_examples]."""
    usual_shift: FloatArray
    """float32 [n_dimensions]: what sets texts of any classes apart from their descriptions."""


def all_prototypes(described: dict[int, FloatArray], n_classes: int, examples: Examples) -> FloatArray:
    """Return a prototype of every class, unit vectors, float32 [n_classes, n_dimensions].

    A class without a description has the mean of its examples, less what sets examples apart from descriptions.

    Args:
        described: Prototypes of the described classes, by class.
        n_classes: All classes; each has a description, examples or both.
        examples: Of any classes.
    """
    found = np.unique(examples.classes).tolist()
    means = {i: _mean_unit(examples.vectors[examples.classes == i]) for i in found}
    apart = [means[i] - described[i] for i in sorted(described.keys() & means.keys())]
    own = np.mean(apart, axis=0) if apart else np.zeros_like(examples.usual_shift)
    shift = _believed(own, examples.usual_shift, len(apart))
    made = {i: _mean_unit((means[i] - shift)[None]) for i in means.keys() - described.keys()}
    return np.stack([described[i] if i in described else made[i] for i in range(n_classes)])


def fit_head(prototypes: FloatArray, examples: Examples) -> Head:
    """Fit the head of these classes.

    Args:
        prototypes: Unit vectors, float32 [n_classes, n_dimensions].
        examples: Of any of the classes; there may be none.
    """
    described: _Matrix = prototypes.astype(np.float64)
    centre = described.mean(axis=0)
    described = described - centre
    prior = PRIOR_SCALE * described.T
    if len(examples.classes) == 0:
        return _head(prior, np.zeros(len(described)))
    return _moved(prior, described, centre, examples)


def _moved(prior: _Matrix, described: _Matrix, centre: _Matrix, examples: Examples) -> Head:
    vectors, classes = examples.vectors.astype(np.float64), examples.classes
    n_classes = len(described)
    counts = np.bincount(classes, minlength=n_classes)
    n_found = int((counts > 0).sum())
    # Each class weighs the same, however many examples it has.
    weights = min(float(counts[counts > 0].mean()), MOST_ROWS) / counts[classes]
    share = np.bincount(classes, weights, minlength=n_classes) / weights.sum()
    own = weights @ vectors / weights.sum() - centre - share @ described
    is_complete = n_found == n_classes
    shift = own if is_complete else _believed(own, examples.usual_shift, n_found)
    usual = share if is_complete else _believed(share, np.full(n_classes, 1 / n_classes), n_found)
    targets = np.eye(n_classes)
    n_usual = len(classes) / (EXAMPLES_FOR_DESCRIPTION * n_classes)
    row_weights = np.concatenate([weights, np.full(n_classes, DESCRIPTION_ROWS * min(1.0, n_usual))])
    root = np.sqrt(row_weights)[:, None]
    rows = root * np.vstack([vectors - (centre + share @ described + shift), described])
    wanted = root * np.vstack([targets[classes] - usual, targets - 1 / n_classes])
    fitted = prior + _ridge(rows, wanted - rows @ prior)
    # Less what the scores are where the texts of all classes have their centre.
    return _head(fitted, -_belief(counts) * ((centre + shift) @ fitted))


def _believed(found: NDArray[Any], usual: NDArray[Any], n_classes: int) -> NDArray[Any]:
    """Return what is believed between what these classes' examples say and what is usual."""
    ratio = n_classes / (n_classes + SHIFT_CLASSES)
    return ratio * found + (1 - ratio) * usual


def _ridge(rows: _Matrix, wanted: _Matrix) -> _Matrix:
    """Return the weights that bring the rows nearest to what is wanted, [n_dimensions, n_classes]."""
    n_rows, n_dimensions = rows.shape
    if n_rows < n_dimensions:
        return np.asarray(rows.T @ np.linalg.solve(rows @ rows.T + PENALTY * np.eye(n_rows), wanted))
    return np.asarray(np.linalg.solve(rows.T @ rows + PENALTY * np.eye(n_dimensions), rows.T @ wanted))


def _belief(counts: NDArray[np.int64]) -> float:
    """Return how far the texts' centre is believed, 0..1: not at all where a class has no example."""
    if not counts.all():
        return 0.0
    usual = len(counts) / float(np.sum(1 / counts))
    return usual / (usual + CENTRE_EXAMPLES)


def _head(weights: _Matrix, bias: _Matrix) -> Head:
    return Head(np.ascontiguousarray(weights, dtype=np.float32), bias.astype(np.float32))


def _mean_unit(vectors: FloatArray) -> FloatArray:
    """Return the mean of vectors at length 1, float32 [n_dimensions]."""
    mean: FloatArray = np.asarray(vectors, dtype=np.float32).mean(axis=0, keepdims=True)
    unit: FloatArray = unit_rows(mean)[0]
    return unit
