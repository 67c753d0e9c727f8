"""Fit the linear stage, and what it says of chats that it was not fitted on.

Soft labels become weighted rows: a chat that two annotators placed differently is there once for each, with their
weights. Probabilities out of fold come from a model that saw neither the chat nor any that resembles it, so they can
teach another model without repeating the labels.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import orjson
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import StratifiedGroupKFold

from model.bundle.files import sha256_of
from model.calibration import LogitScaling, banned_mask
from model.windowing import Windowing
from schemas import CHAT_13, Taxonomy
from training_pipeline.bundle.scaling_fit import fit_temperature, negative_log_likelihood
from training_pipeline.chats.data_record import record_data
from training_pipeline.chats.labelled_chats import LabelledChats, read_labelled_chats
from training_pipeline.data.chat_rows import ChatRow
from training_pipeline.data.grouped_split import group_of
from training_pipeline.data.near_duplicates import DEFAULT_THRESHOLD
from training_pipeline.linear.linear_model import (
    ANALYSERS,
    LinearModel,
    LinearRecord,
    LinearWeights,
    Link,
    calibrated,
    log_scores,
)
from training_pipeline.quality.metrics import banned_to_safe_at, rounded, safety_metrics

OUT_OF_FOLD_NAME: Final = "out_of_fold.jsonl"

_OPERATING_POINT: Final = 0.029
_ABSENT_SCORE: Final = -30.0
"""Of a category without chats: e to its power is nothing beside the others."""

Watch = Callable[[Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]], Iterable[tuple[NDArray[Any], NDArray[Any]]]]
"""Iterates over the folds and shows how far it is."""


@dataclass(frozen=True)
class LinearOptions:
    """What decides a linear stage besides its chats."""

    solver: Literal["logistic", "sgd"] = "logistic"
    inverse_regularisation: float = 10.0
    """scikit-learn's C; with `sgd` its alpha is 1 / (C * n_chats)."""
    min_chats: int = 2
    """A term that occurs in fewer chats is left out."""
    max_terms: int = 150_000
    """Per group of features, the most frequent ones."""
    n_folds: int = 5
    seed: int = 20261121

    @property
    def link(self) -> Link:
        """How scores become probabilities."""
        return "softmax" if self.solver == "logistic" else "one_vs_rest"


def train_linear(
    data: Sequence[Path],
    out: Path,
    options: LinearOptions,
    *,
    windowing: Windowing,
    taxonomy: Taxonomy = CHAT_13,
    licence_classes: frozenset[str] = frozenset(),
    watch: Watch = iter,
) -> dict[str, Any]:
    """Fit on all chats, write the stage and its probabilities out of fold, and return its figures out of fold.

    Args:
        data: Labelled chats, JSON lines.
        out: Folder to write.
        options: What decides the fit.
        windowing: The windows that it reads.
        taxonomy: Of the categories.
        licence_classes: Keep only chats of these classes; empty keeps all.
        watch: Shows progress over the folds.

    Raises:
        ValueError: a file holds something else, or there are too few chats for the folds.
    """
    chats = read_labelled_chats(data, windowing, licence_classes, taxonomy)
    banned = banned_mask(taxonomy.banned, taxonomy.codes)
    folds = grouped_folds(chats, options)
    scores = np.zeros((len(chats), len(taxonomy.codes)), dtype=np.float32)
    fold_of = np.zeros(len(chats), dtype=np.int64)
    for fold, (fitted, left_out) in enumerate(watch(folds)):
        part = fit(chats.take(fitted), options, windowing=windowing)
        scores[left_out] = part.scores([chats.texts[i] for i in left_out])
        fold_of[left_out] = fold
    logits = log_scores(scores, options.link)
    temperature = fit_temperature(logits, chats.labels)
    probabilities = calibrated(scores, options.link, temperature)
    figures = {
        **safety_metrics(chats.labels, probabilities.argmax(axis=1), banned).as_dict(),
        "nll": round(
            negative_log_likelihood(logits, chats.labels, LogitScaling.single(temperature, logits.shape[1])), 4
        ),
        "banned_to_safe_rate_at_safe_to_banned_0.029": rounded(
            banned_to_safe_at(chats.labels, probabilities, banned, safe_to_banned_rate=_OPERATING_POINT)
        ),
    }
    description = {
        "options": vars(options),
        "training_data": record_data(data, chats, licence_classes).model_dump(mode="json"),
        "out_of_fold": figures,
    }
    fit(chats, options, windowing=windowing, temperature=temperature, description=description).save(out)
    _write_out_of_fold(out / OUT_OF_FOLD_NAME, chats, probabilities, fold_of)
    return figures


def grouped_folds(chats: LabelledChats, options: LinearOptions) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return (fitted, left out) positions per fold; chats that resemble one another are in one fold.

    Raises:
        ValueError: there are fewer groups of chats than folds.
    """
    rows = [ChatRow("", chat_id, turns, {}) for chat_id, turns in zip(chats.chat_ids, chats.conversations, strict=True)]
    groups = group_of(rows, DEFAULT_THRESHOLD)
    n_groups = len(np.unique(groups))
    if n_groups < options.n_folds:
        raise ValueError(f"{n_groups} groups of chats; expected at least {options.n_folds}, one per fold; add chats")
    # Categories rarer than the folds count as one: the splitter cannot spread them, and warns.
    n_categories = len(chats.taxonomy.codes)
    rare = np.bincount(chats.labels, minlength=n_categories) < options.n_folds
    strata = np.where(rare[chats.labels], n_categories, chats.labels)
    splitter = StratifiedGroupKFold(n_splits=options.n_folds, shuffle=True, random_state=options.seed)
    return list(splitter.split(strata, strata, groups))


def fit(
    chats: LabelledChats,
    options: LinearOptions,
    *,
    windowing: Windowing,
    temperature: float = 1.0,
    description: dict[str, Any] | None = None,
) -> LinearModel:
    """Fit vectorisers and weights on these chats."""
    terms, idf, parts = {}, {}, []
    for name, analyser in ANALYSERS.items():
        vectoriser = TfidfVectorizer(min_df=options.min_chats, max_features=options.max_terms, **analyser)
        parts.append(vectoriser.fit_transform(chats.texts))
        terms[name] = vectoriser.get_feature_names_out().tolist()
        idf[name] = vectoriser.idf_.astype(np.float32)
    features = sparse.hstack(parts, format="csr")
    rows, columns = np.nonzero(chats.soft_labels)
    classifier = _classifier(options, len(chats))
    classifier.fit(features[rows], columns, sample_weight=chats.soft_labels[rows, columns].astype(np.float64))
    coefficients, intercept = all_columns(classifier, len(chats.taxonomy.codes))
    record = LinearRecord(
        taxonomy=chats.taxonomy,
        link=options.link,
        temperature=temperature,
        windowing=windowing,
        terms=terms,
        description=description or {},
    )
    return LinearModel(record, LinearWeights(idf, coefficients, intercept))


def _classifier(options: LinearOptions, n_chats: int) -> Any:
    if options.solver == "logistic":
        return LogisticRegression(C=options.inverse_regularisation, max_iter=1000, random_state=options.seed)
    alpha = 1 / (options.inverse_regularisation * n_chats)
    return SGDClassifier(loss="log_loss", alpha=alpha, max_iter=50, random_state=options.seed)


def all_columns(classifier: Any, n_categories: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return weights [n_features, n_categories] and intercepts [n_categories], also where a category had no chat.

    Two categories give scikit-learn one row: the score of the second against the first.
    """
    found, rows, offsets = classifier.classes_, classifier.coef_, classifier.intercept_
    if len(found) == 2:  # noqa: PLR2004
        rows, offsets = np.vstack([-rows / 2, rows / 2]), np.concatenate([-offsets / 2, offsets / 2])
    coefficients = np.zeros((rows.shape[1], n_categories), dtype=np.float32)
    intercept = np.full(n_categories, _ABSENT_SCORE, dtype=np.float32)
    coefficients[:, found], intercept[found] = rows.T, offsets
    return coefficients, intercept


def _write_out_of_fold(
    path: Path, chats: LabelledChats, probabilities: NDArray[np.float32], fold_of: NDArray[np.int64]
) -> None:
    with path.open("wb") as out:
        for i, chat_id in enumerate(chats.chat_ids):
            soft_label = {
                code: round(float(p), 6) for code, p in zip(chats.taxonomy.codes, probabilities[i], strict=True)
            }
            row = {"chat_id": chat_id, "text_digest": sha256_of(chats.texts[i].encode()), "fold": int(fold_of[i])}
            out.write(orjson.dumps({**row, "soft_label": soft_label}) + b"\n")


def read_out_of_fold(folder: Path) -> dict[str, NDArray[np.float32]]:
    """Return the probabilities out of fold, float32 [n_categories], by the digest of the rendered window.

    Raises:
        ValueError: there are none.
    """
    path = folder / OUT_OF_FOLD_NAME
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); run `train-linear` again") from error
    rows = [orjson.loads(line) for line in lines]
    return {row["text_digest"]: np.array(list(row["soft_label"].values()), dtype=np.float32) for row in rows}
