"""The first stage of a cascade: a linear model on hashed n-grams, with or without a small network on token vectors.

It answers what is easy in microseconds.

Where it is confident it answers alone and the transformer never sees the chat; elsewhere its logits are blended into
the transformer's. What a bundle promises (calibration.json) is computed from the answers of both stages together.

Invariant: a row's logits depend on that row alone, to the last bit.
Source of the exit rule: Wang, Kondratyuk, Christiansen, Kitani, Alon, Eban, Wisdom of Committees: An Overlooked
Approach To Faster and More Accurate Models (ICLR 2022): a cascade that exits where the answer is probable enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.lib.format
from numpy.typing import NDArray

from model.bundle.manifest import ExitSides, FirstStageFields
from model.calibration import FloatArray, softmax
from model.cascade.averaging_network import AveragingNetwork
from model.cascade.ngrams import ngram_counts
from model.tokenization import TokenIds


@dataclass(frozen=True)
class FirstStage:
    """A fitted first stage."""

    table: NDArray[np.float16]
    """float16 [n_buckets, 1 + n_categories]: inverse document frequency, then the weight of each category times that
    frequency."""
    fields: FirstStageFields
    codes: tuple[str, ...]
    """Of the output columns."""
    network: AveragingNetwork | None = None
    """Its logits are added, where the bundle has it."""

    def logits(self, rows: Sequence[TokenIds]) -> FloatArray:
        """Return calibrated logits, float32 [n_rows, n_categories]: their softmax are the probabilities.

        Args:
            rows: Token ids of rendered windows, at least one row, none empty.
        """
        counts = ngram_counts(rows, n_buckets=len(self.table), longest=self.fields.longest_ngram)
        weighted = self.table[counts.buckets].astype(np.float64) * counts.values[:, None]
        starts = np.searchsorted(counts.rows, np.arange(len(rows)))
        norms = np.sqrt(np.add.reduceat(np.square(weighted[:, 0]), starts))
        sums = np.add.reduceat(weighted[:, 1:], starts, axis=0)
        scores: FloatArray = (sums / norms[:, None] + np.array(self.fields.intercept)).astype(np.float32)
        return scores if self.network is None else scores + self.network.logits(rows)

    @property
    def answers_alone(self) -> bool:
        """Whether it ever answers without the transformer."""
        return self.fields.exit_from is not None

    def answers(self, logits: FloatArray) -> tuple[NDArray[np.bool_], FloatArray]:
        """Return which rows it answers alone, bool [n_rows], and its probabilities, float32 [n_rows, n_categories]."""
        probabilities = softmax(logits)
        exit_from = self.fields.exit_from
        if exit_from is None:
            return np.zeros(len(logits), dtype=np.bool_), probabilities
        is_confident = probabilities.max(axis=1) >= exit_from
        return is_confident & is_decided(probabilities, self.fields.exit_sides, self.codes), probabilities

    def decides(self, probabilities: FloatArray, margin: float) -> NDArray[np.bool_]:
        """Return which rows it is sure of the side of, bool [n_rows], whatever the category.

        That is enough for a piece, which is evidence and no category; none where it never answers alone.
        """
        sides = self.fields.exit_sides
        if self.fields.exit_from is None or sides is None:
            return np.zeros(len(probabilities), dtype=np.bool_)
        return is_decided(probabilities, sides.model_copy(update={"margin": margin}), self.codes)

    def suspicion(self, probabilities: FloatArray) -> FloatArray:
        """Return the probability of the exit sides' categories, float32 [n_rows]; of any category where it has none."""
        sides = self.fields.exit_sides
        return probabilities.max(axis=1) if sides is None else _share_of(probabilities, sides, self.codes)

    def blended(self, transformer: FloatArray, first: FloatArray) -> FloatArray:
        """Return the transformer's logits with those of the first stage mixed in, float32 [n_rows, n_categories]."""
        mixed: FloatArray = transformer + np.float32(self.fields.blend_weight) * first
        return mixed

    def to_bytes(self) -> bytes:
        """Return the contents of first_stage.npy."""
        buffer = BytesIO()
        numpy.lib.format.write_array(buffer, self.table, version=(1, 0), allow_pickle=False)
        return buffer.getvalue()


def is_decided(probabilities: FloatArray, sides: ExitSides | None, codes: Sequence[str]) -> NDArray[np.bool_]:
    """Return which rows are sure of their side, bool [n_rows]; all where no sides are asked for.

    The most probable category may be right in name and unsure in what decides: between a banned category and a safe
    one, and there the score of the transformer ranks better.

    Args:
        probabilities: float32 [n_rows, n_categories].
        sides: Which categories are one side, and how sure is sure.
        codes: Of the output columns.
    """
    if sides is None:
        return np.ones(len(probabilities), dtype=np.bool_)
    share = _share_of(probabilities, sides, codes)
    decided: NDArray[np.bool_] = (share <= sides.margin) | (share >= 1 - sides.margin)
    return decided


def _share_of(probabilities: FloatArray, sides: ExitSides, codes: Sequence[str]) -> FloatArray:
    share: FloatArray = probabilities[:, [codes.index(code) for code in sides.codes]].sum(axis=1)
    return share


def read_table(content: bytes, n_categories: int) -> NDArray[np.float16]:
    """Read first_stage.npy.

    Args:
        content: Its bytes.
        n_categories: Of the bundle's taxonomy.

    Raises:
        ValueError: it is not an array of this kind, or holds NaN or infinity.
    """
    table = numpy.lib.format.read_array(BytesIO(content), allow_pickle=False)
    if table.dtype != np.float16 or table.ndim != 2 or table.shape[1] != 1 + n_categories:  # noqa: PLR2004
        raise ValueError(f"holds {table.dtype} {list(table.shape)}; expected float16 [n_buckets, {1 + n_categories}]")
    if not (np.isfinite(table).all() and (table[:, 0] > 0).all()):
        raise ValueError("holds NaN, infinity or a frequency of 0; expected finite numbers, the first column above 0")
    result: NDArray[np.float16] = table
    return result
