"""TF-IDF of word 1-2-grams and character 3-5-grams, and one linear layer to the categories.

Stored as numbers and lists of terms (safetensors and JSON), never as pickled scikit-learn objects; the vectorisers are
put together again from them.

Invariant: a loaded model answers what the saved one answered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.numpy import load_file, save_file
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from model.bundle.files import sha256_of
from model.calibration import softmax
from model.windowing import Windowing
from schemas import CHAT_13, Taxonomy

MODEL_NAME: Final = "linear.json"
WEIGHTS_NAME: Final = "linear.safetensors"

ANALYSERS: Final[dict[str, dict[str, Any]]] = {
    "word": {"analyzer": "word", "ngram_range": (1, 2), "sublinear_tf": True, "dtype": np.float32},
    "character": {"analyzer": "char_wb", "ngram_range": (3, 5), "sublinear_tf": True, "dtype": np.float32},
}
"""How each group of features is cut from the lower-cased text."""

_SMALLEST_PROBABILITY: Final = 1e-7

Link = Literal["softmax", "one_vs_rest"]


class LinearRecord(BaseModel):
    """What linear.json says beside the terms."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    taxonomy: Taxonomy = CHAT_13
    link: Link
    temperature: float
    windowing: Windowing
    terms: dict[str, list[str]]
    """Of each group of features, in the order of the weights."""
    description: dict[str, Any]
    """Options, chats and figures, for people."""


@dataclass(frozen=True)
class LinearWeights:
    """Numbers of a fitted model."""

    idf: dict[str, NDArray[np.float32]]
    """Of each group of features, [n_terms]."""
    coefficients: NDArray[np.float32]
    """[n_features, 13], groups one after the other."""
    intercept: NDArray[np.float32]
    """[13]."""


class LinearModel:
    """A fitted linear stage.

    Args:
        record: Terms, link and temperature.
        weights: Their numbers.
    """

    def __init__(self, record: LinearRecord, weights: LinearWeights) -> None:
        self.record = record
        self.weights = weights
        self._vectorisers = [
            _rebuilt(options, record.terms[name], weights.idf[name]) for name, options in ANALYSERS.items()
        ]

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return calibrated probabilities of rendered windows, float32 [n_texts, n_categories]; each row sums to 1."""
        return calibrated(self.scores(texts), self.record.link, self.record.temperature)

    def scores(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the linear scores of rendered windows, float32 [n_texts, n_categories]."""
        features = sparse.hstack([vectoriser.transform(texts) for vectoriser in self._vectorisers], format="csr")
        scores: NDArray[np.float32] = (features @ self.weights.coefficients + self.weights.intercept).astype(np.float32)
        return scores

    def save(self, folder: Path) -> None:
        """Write both files into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {f"idf.{name}": values for name, values in self.weights.idf.items()}
        arrays |= {"coefficients": self.weights.coefficients, "intercept": self.weights.intercept}
        save_file({name: np.ascontiguousarray(values) for name, values in arrays.items()}, folder / WEIGHTS_NAME)
        (folder / MODEL_NAME).write_bytes(orjson.dumps(self.record.model_dump(mode="json")))


def load_linear(folder: Path) -> tuple[LinearModel, str]:
    """Read a linear stage; return it and the digest of its files.

    Raises:
        ValueError: a file is missing, or terms and numbers do not fit.
    """
    try:
        document, content = (folder / MODEL_NAME).read_bytes(), (folder / WEIGHTS_NAME).read_bytes()
        record = LinearRecord.model_validate_json(document)
    except OSError as error:
        raise ValueError(f"{folder}: cannot be read ({error.strerror}); expected what `train-linear` wrote") from error
    except ValidationError as error:
        raise ValueError(f"{folder / MODEL_NAME}: not a linear stage of this version: {error}") from error
    arrays = load_file(folder / WEIGHTS_NAME)
    idf = {name: arrays[f"idf.{name}"] for name in ANALYSERS}
    n_features = sum(len(terms) for terms in record.terms.values())
    found = {"coefficients": arrays["coefficients"].shape, "intercept": arrays["intercept"].shape}
    n_categories = len(record.taxonomy.codes)
    if found != {"coefficients": (n_features, n_categories), "intercept": (n_categories,)}:
        raise ValueError(f"{folder / WEIGHTS_NAME}: shapes are {found}; expected {n_features} features; train it again")
    weights = LinearWeights(idf, arrays["coefficients"], arrays["intercept"])
    return LinearModel(record, weights), sha256_of(document + content)


def calibrated(scores: NDArray[np.float32], link: Link, temperature: float) -> NDArray[np.float32]:
    """Return probabilities, float32 [n, n_categories], of linear scores.

    Args:
        scores: float32 [n, n_categories].
        link: `softmax`, or `one_vs_rest`: a logistic function per category, made to sum to 1.
        temperature: Divisor of the logarithms of the probabilities.
    """
    return softmax(log_scores(scores, link), temperature=temperature)


def log_scores(scores: NDArray[np.float32], link: Link) -> NDArray[np.float32]:
    """Return what a softmax at temperature 1 turns into the model's probabilities, float32 [n, n_categories]."""
    if link == "softmax":
        return scores
    likelihoods = 1 / (1 + np.exp(-scores.astype(np.float64)))
    return np.log(np.maximum(likelihoods, _SMALLEST_PROBABILITY)).astype(np.float32)


def _rebuilt(options: dict[str, Any], terms: list[str], idf: NDArray[np.float32]) -> TfidfVectorizer:
    vectoriser = TfidfVectorizer(vocabulary={term: i for i, term in enumerate(terms)}, **options)
    vectoriser.idf_ = idf
    return vectoriser
