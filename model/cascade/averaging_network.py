"""The second ensemble member of the first stage: the mean of a row's token vectors through one hidden layer.

It knows which tokens mean similar things, where hashed n-grams know each token for itself alone, so that the two are
wrong about different chats. The vectors are one table, so a row costs one look-up per token and two small products.

Invariant: a row's logits depend on that row alone, to the last bit.
Source: the deep averaging network of Iyyer, Manjunatha, Boyd-Graber, Daumé, Deep Unordered Composition Rivals Syntactic
Methods for Text Classification (ACL 2015).
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from io import BytesIO
from typing import Any

import numpy as np

from model.calibration import FloatArray
from model.tokenization import TokenIds


@dataclass(frozen=True)
class AveragingNetwork:
    """Fitted weights."""

    vectors: FloatArray
    """float32 [n_token_ids, n_dimensions]; each number is one of float16, which is how the file holds them."""
    hidden: FloatArray
    """float32 [n_dimensions, n_units]."""
    hidden_bias: FloatArray
    """float32 [n_units]."""
    output: FloatArray
    """float32 [n_units, n_categories]."""
    output_bias: FloatArray
    """float32 [n_categories]."""

    def logits(self, rows: Sequence[TokenIds]) -> FloatArray:
        """Return logits, float32 [n_rows, n_categories].

        Args:
            rows: Token ids, each below n_token_ids, at least one row, none empty.
        """
        means = np.stack([np.add.reduce(self.vectors[row], axis=0) / np.float32(len(row)) for row in rows])
        # One product per row: a product over all rows rounds differently with their number.
        units = np.maximum(np.matmul(means[:, None, :], self.hidden) + self.hidden_bias, 0)
        scores: FloatArray = (np.matmul(units, self.output) + self.output_bias)[:, 0]
        return scores

    def to_bytes(self) -> bytes:
        """Return the contents of first_stage_network.npz; the same weights give the same bytes."""
        buffer = BytesIO()
        arrays: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        np.savez(buffer, **(arrays | {"vectors": self.vectors.astype(np.float16)}))
        return buffer.getvalue()


def read_network(content: bytes, n_categories: int) -> AveragingNetwork:
    """Read first_stage_network.npz.

    Args:
        content: Its bytes.
        n_categories: Of the bundle's taxonomy.

    Raises:
        ValueError: it does not hold these arrays in these types and shapes, or one holds NaN or infinity.
    """
    names = [field.name for field in fields(AveragingNetwork)]
    try:
        with np.load(BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, EOFError, OSError, TypeError, AttributeError) as error:
        raise ValueError(f"is no archive of arrays ({type(error).__name__}: {error}); expected {names}") from error
    if sorted(arrays) != sorted(names):
        raise ValueError(f"holds {sorted(arrays)}; expected {sorted(names)}")
    found = {name: (array.dtype.name, array.shape) for name, array in arrays.items()}
    if any(arrays[name].ndim != 2 for name in ("vectors", "hidden")):  # noqa: PLR2004
        raise ValueError(f"holds {found}; expected vectors and hidden in two dimensions")
    n_dimensions, n_units = arrays["hidden"].shape
    expected = {
        "vectors": ("float16", (len(arrays["vectors"]), n_dimensions)),
        "hidden": ("float32", (n_dimensions, n_units)),
        "hidden_bias": ("float32", (n_units,)),
        "output": ("float32", (n_units, n_categories)),
        "output_bias": ("float32", (n_categories,)),
    }
    if found != expected:
        raise ValueError(f"holds {found}; expected {expected}")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError("holds NaN or infinity; expected finite numbers")
    return AveragingNetwork(**(arrays | {"vectors": arrays["vectors"].astype(np.float32)}))
