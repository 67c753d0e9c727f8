"""Fit a bundle on labelled chats in seconds: a logistic regression on the frozen encoder's vectors.

`describe` fits its head on a handful of examples a class and holds more of them down; with hundreds a class the plain
regression is better. What it writes is a bundle of the same kind, which the worker serves, uncalibrated.

Invariant: the bundle names the category that the head names here, for any chat.
"""

from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from model.calibration import FloatArray
from model.described.frozen_encoder import shipped_encoder
from model.described.head import Head
from model.described.head_bundle import TEMPERATURE, head_bundle
from schemas import Taxonomy
from training_pipeline.linear.linear_training import all_columns

INVERSE_REGULARISATION: Final = 10.0
"""scikit-learn's C, as of the linear stage; not tuned."""


def fit_head_on(
    vectors: FloatArray, labels: NDArray[np.int64], n_categories: int, *, weights: FloatArray | None = None
) -> Head:
    """Fit the head.

    Args:
        vectors: Unit vectors of chats, float32 [n_chats, n_dimensions].
        labels: int64 [n_chats], category index; two categories at least.
        n_categories: Of the taxonomy; one without a chat is never named.
        weights: float32 [n_chats], what each chat counts; None: one each.
    """
    classifier = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=1_000)
    classifier.fit(vectors, labels, sample_weight=weights)
    coefficients, intercept = all_columns(classifier, n_categories)
    # Such bundles divide by their temperature, which was chosen for other heads.
    scale = np.float32(TEMPERATURE)
    return Head(np.ascontiguousarray(coefficients * scale), intercept * scale)


def bundle_files(head: Head, taxonomy: Taxonomy, labels: NDArray[np.int64]) -> dict[str, bytes]:
    """Return the files of a head's bundle, by name."""
    counts = Counter(taxonomy.categories[i].name for i in labels.tolist())
    return head_bundle(head, taxonomy, shipped_encoder(), counts)
