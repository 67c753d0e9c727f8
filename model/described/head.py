"""The linear head of a bundle without a model of its own: unit vectors of texts in, logits out.

Invariant: a row's logits depend on that row alone, to the last bit; the same weights give the same bytes.
"""

import zipfile
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np

from model.calibration import FloatArray

_ARRAYS: Final = ("bias", "weights")


@dataclass(frozen=True)
class Head:
    """Fitted weights."""

    weights: FloatArray
    """float32 [n_dimensions, n_categories]."""
    bias: FloatArray
    """float32 [n_categories]; where the texts' centre lies is part of it."""

    def logits(self, vectors: FloatArray) -> FloatArray:
        """Return logits, float32 [n_rows, n_categories].

        Args:
            vectors: Unit vectors, float32 [n_rows, n_dimensions].
        """
        # One product per row: a product over all rows rounds differently with their number.
        scores: FloatArray = (np.matmul(vectors[:, None, :], self.weights) + self.bias)[:, 0]
        return scores

    def to_bytes(self) -> bytes:
        """Return the contents of head.npz."""
        buffer = BytesIO()
        np.savez(buffer, weights=self.weights, bias=self.bias)
        return buffer.getvalue()


def read_head(content: bytes, *, n_dimensions: int, n_categories: int) -> Head:
    """Read head.npz.

    Args:
        content: Of the file.
        n_dimensions: Of the encoder's vectors.
        n_categories: Of the bundle's taxonomy.

    Raises:
        ValueError: it does not hold these arrays in these types and shapes, or one holds NaN or infinity.
    """
    try:
        with np.load(BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, EOFError, OSError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"is no archive of arrays ({type(error).__name__}: {error}); expected {_ARRAYS}") from error
    found = {name: (array.dtype.name, array.shape) for name, array in sorted(arrays.items())}
    expected = {"bias": ("float32", (n_categories,)), "weights": ("float32", (n_dimensions, n_categories))}
    if found != expected:
        raise ValueError(f"holds {found}; expected {expected}")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError("holds NaN or infinity; expected finite numbers")
    return Head(arrays["weights"], arrays["bias"])
