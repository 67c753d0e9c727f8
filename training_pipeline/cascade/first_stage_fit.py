"""Fit the first stage of a bundle: hashed n-grams of token ids into one-vs-rest logistic regression, and a network.

The weights of the two and the confidence from which it answers alone come from predictions out of fold over the
training chats, so that the chats behind the guarantee choose neither. Changed copies of some chats are learned too, as
often as the run changes its own: a disguise takes the n-grams away that a banned chat is known by, safe text beside a
request drowns them, and confidence must not be what is left.

Invariant: the same chats and options give the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import KFold
from sklearn.preprocessing import normalize

from model.bundle.manifest import ExitSides, FirstStageFields
from model.calibration import FloatArray, LogitScaling, softmax
from model.cascade.first_stage import FirstStage, is_decided
from model.cascade.ngrams import ngram_counts
from model.tokenization import ConversationTokenizer, TokenIds
from training_pipeline.augment.rows import augmented_rows
from training_pipeline.bundle.scaling_fit import Groups, negative_log_likelihood
from training_pipeline.cascade.averaging_network_fit import fit_network, mean_vectors
from training_pipeline.cascade.network_options import NetworkOptions
from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.linear.linear_training import all_columns
from training_pipeline.train.config import TrainConfig

_FEWEST_EXITS: Final = 50
"""Chats out of fold that must be answered before their precision says anything."""
_DECIMALS: Final = 4
_FEWEST_DISGUISED_RATIO: Final = 0.1
"""Of a run that disguises fewer: the first stage answers before the transformer could."""
_WEIGHT_BOUNDS: Final = (0.0, 20.0)


@dataclass(frozen=True)
class FirstStageOptions:
    """What decides a first stage besides its chats."""

    n_buckets: int = 2**17
    longest_ngram: int = 2
    inverse_regularisation: float = 20.0
    """scikit-learn's C: alpha of the stochastic gradient descent is 1 / (C * n_chats)."""
    n_epochs: int = 12
    n_folds: int = 5
    network: NetworkOptions = field(default_factory=NetworkOptions)
    exit_precision: float = 0.96
    """Share of right categories, out of fold, among the chats that it answers alone."""
    exit_margin: float = 0.05
    """It answers alone where the probability that a chat is banned is at most this, or at least 1 - this."""
    blend_weight: float | None = None
    """Of its logits beside the transformer's; None fits it by likelihood, which may cost accuracy."""


def fit_first_stage(
    chats: LabelledChats,
    tokenizer: ConversationTokenizer,
    config: TrainConfig,
    options: FirstStageOptions,
    groups: Groups,
    *,
    vectors: FloatArray,
) -> FirstStage:
    """Fit a first stage that is not blended into anything yet.

    Args:
        chats: The training chats of the run that it goes before.
        tokenizer: The run's.
        config: The run's; its seed, its windowing and the shares of changed chats are used.
        options: Everything else that decides the fit.
        groups: The columns, and which are banned.
        vectors: float32 [n_token_ids, width], see `averaging_network_fit.token_vectors`.
    """
    rows = chats.encode(tokenizer)
    by_member = _out_of_fold(rows, chats, vectors, config, options)
    weights_of = fit_members(by_member, chats.labels)
    scores = _together(by_member, weights_of)
    probabilities = softmax(scores)
    sides = exit_sides(groups, options.exit_margin)
    decided = is_decided(probabilities, sides, groups.codes)
    exit_from = exit_confidence(probabilities[decided], chats.labels[decided], options.exit_precision)
    ratios = config.model_copy(update={"evasion_ratio": max(config.evasion_ratio, _FEWEST_DISGUISED_RATIO)})
    # Epoch 0 of the changes is no training epoch's.
    augmented = augmented_rows(chats, rows, tokenizer, ratios, epoch=0)
    changed = [i for i, (old, new) in enumerate(zip(rows, augmented, strict=True)) if old is not new]
    labels = np.concatenate([chats.labels, chats.labels[changed]])
    both = [*rows, *(augmented[i] for i in changed)]
    counts = _matrix(both, options)
    idf = _idf(counts)
    weights, intercept = _fitted(_weighted(counts, idf), labels, config.seed, options, n_categories=len(groups.codes))
    table = np.concatenate([idf[:, None], weights * idf[:, None] * weights_of[0]], axis=1).astype(np.float16)
    targets = np.concatenate([chats.soft_labels, chats.soft_labels[changed]])
    fitted = fit_network(mean_vectors(both, vectors), targets, vectors, seed=config.seed, options=options.network)
    network = replace(fitted, output=fitted.output * weights_of[1], output_bias=fitted.output_bias * weights_of[1])
    fields = FirstStageFields(
        longest_ngram=options.longest_ngram,
        intercept=[round(float(value) * float(weights_of[0]), _DECIMALS) for value in intercept],
        blend_weight=0.0,
        exit_from=exit_from,
        exit_sides=sides,
    )
    return FirstStage(table, fields, tuple(groups.codes), network)


def exit_sides(groups: Groups, margin: float) -> ExitSides | None:
    """Return the sides that an early answer must be sure of; None where nothing is banned."""
    if not groups.are_two:
        return None
    banned = sorted(code for code, is_banned in zip(groups.codes, groups.banned, strict=True) if is_banned)
    return ExitSides(codes=banned, margin=margin)


def fit_members(scores: Sequence[FloatArray], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the weights of the members whose sum has the smallest negative log likelihood, float32 [n_members].

    They calibrate too: the softmax of the sum are probabilities.

    Args:
        scores: For each ensemble member float32 [n_chats, n_categories], of chats that did not fit it.
        labels: int64 [n_chats], true column indices.
    """

    def cost(weights: NDArray[np.float64]) -> float:
        return negative_log_likelihood(
            _together(scores, weights.astype(np.float32)), labels, LogitScaling.single(1.0, scores[0].shape[1])
        )

    start = np.full(len(scores), 1 / len(scores))
    # Probabilities are float32, so that slopes by finite differences would drown in rounding: no derivatives.
    found = minimize(cost, start, method="Nelder-Mead", bounds=[_WEIGHT_BOUNDS] * len(scores), options={"xatol": 1e-5})
    weights: NDArray[np.float32] = np.round(found.x, _DECIMALS).astype(np.float32)
    return weights


def _together(scores: Sequence[FloatArray], weights: NDArray[np.float32]) -> FloatArray:
    return np.tensordot(weights, np.stack(scores), axes=1).astype(np.float32)


def exit_confidence(probabilities: FloatArray, labels: NDArray[np.int64], precision: float) -> float | None:
    """Return the smallest confidence at and above which enough answers are right, or None where there is none.

    Args:
        probabilities: float32 [n_chats, n_categories], of chats that did not fit them.
        labels: int64 [n_chats], true column indices.
        precision: Wanted share of right answers among those at least as confident, 0..1.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    order = np.argsort(-confidence, kind="stable")
    right = np.cumsum((probabilities.argmax(axis=1) == labels)[order]) / np.arange(1, len(labels) + 1)
    enough = np.flatnonzero(right >= precision)
    enough = enough[enough + 1 >= _FEWEST_EXITS]
    if not len(enough):
        return None
    # Rounded up, so that no chat below the measured confidence gets out.
    return float(np.ceil(confidence[order[enough[-1]]] * 10**_DECIMALS) / 10**_DECIMALS)


def _out_of_fold(
    rows: Sequence[TokenIds],
    chats: LabelledChats,
    vectors: FloatArray,
    config: TrainConfig,
    options: FirstStageOptions,
) -> list[FloatArray]:
    """Return, by ensemble member, scores of chats by a model that did not learn from them, [n_chats, n_categories]."""
    counts = _matrix(rows, options)
    ngrams = np.zeros((len(rows), len(chats.taxonomy.codes)), dtype=np.float32)
    network = np.zeros_like(ngrams)
    means = mean_vectors(rows, vectors)
    for fitted, left_out in KFold(options.n_folds, shuffle=True, random_state=config.seed).split(rows):
        idf = _idf(counts[fitted])
        weights, intercept = _fitted(
            _weighted(counts[fitted], idf), chats.labels[fitted], config.seed, options, n_categories=ngrams.shape[1]
        )
        ngrams[left_out] = _weighted(counts[left_out], idf) @ weights + intercept
        targets = chats.soft_labels[fitted]
        fold = fit_network(means[fitted], targets, vectors, seed=config.seed, options=options.network)
        network[left_out] = fold.logits([rows[i] for i in left_out])
    return [ngrams, network]


def _matrix(rows: Sequence[TokenIds], options: FirstStageOptions) -> sparse.csr_matrix:
    counts = ngram_counts(rows, n_buckets=options.n_buckets, longest=options.longest_ngram)
    shape = (len(rows), options.n_buckets)
    return sparse.csr_matrix((counts.values, (counts.rows, counts.buckets)), shape=shape)


def _idf(counts: sparse.csr_matrix) -> FloatArray:
    n_chats = counts.shape[0]
    n_with = np.bincount(counts.indices, minlength=counts.shape[1])
    frequency: FloatArray = (np.log((1 + n_chats) / (1 + n_with)) + 1).astype(np.float32)
    return frequency


def _weighted(counts: sparse.csr_matrix, idf: FloatArray) -> sparse.csr_matrix:
    weighted = counts.copy()
    weighted.data = weighted.data * idf[weighted.indices]
    return normalize(weighted, copy=False)


def _fitted(
    features: sparse.csr_matrix,
    labels: NDArray[np.int64],
    seed: int,
    options: FirstStageOptions,
    *,
    n_categories: int,
) -> tuple[FloatArray, FloatArray]:
    alpha = 1 / (options.inverse_regularisation * features.shape[0])
    classifier = SGDClassifier(
        loss="log_loss", alpha=alpha, max_iter=options.n_epochs, tol=None, average=True, random_state=seed
    )
    return all_columns(classifier.fit(features, labels), n_categories)
