"""Fit the network of a first stage: the encoder's own token vectors, averaged per row, through one hidden layer.

The vectors are what the encoder's first layer reads, without the position, and stay as they are; the hidden layer is
of low rank, so that the bundle's table needs few numbers per token id. Targets are the chats' soft labels.

Invariant: the same chats, vectors and options give the same network, on the same kind of processor.
Source: see `model.cascade.averaging_network`.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from model.calibration import FloatArray
from model.cascade.averaging_network import AveragingNetwork
from model.tokenization import TokenIds
from training_pipeline.cascade.network_options import NetworkOptions


def token_vectors(weights: Mapping[str, FloatArray], *, max_tokens: int, epsilon: float) -> FloatArray:
    """Return what the encoder's first layer reads of each token id at a mean position, float32 [n_token_ids, width].

    Args:
        weights: A checkpoint's arrays by name.
        max_tokens: Longest row, special tokens included.
        epsilon: Of the encoder's layer normalisation.
    """
    prefix = "encoder.embeddings"
    place = weights[f"{prefix}.position_embeddings.weight"][:max_tokens].mean(axis=0)
    summed = weights[f"{prefix}.word_embeddings.weight"] + place + weights[f"{prefix}.token_type_embeddings.weight"][0]
    centred = summed - summed.mean(axis=1, keepdims=True)
    normed = centred / np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + epsilon)
    vectors: FloatArray = normed * weights[f"{prefix}.LayerNorm.weight"] + weights[f"{prefix}.LayerNorm.bias"]
    return vectors


def mean_vectors(rows: Sequence[TokenIds], vectors: FloatArray) -> FloatArray:
    """Return the mean vector of each row, float32 [n_rows, width]."""
    return np.stack([vectors[row].mean(axis=0) for row in rows])


def fit_network(
    means: FloatArray, targets: FloatArray, vectors: FloatArray, *, seed: int, options: NetworkOptions
) -> AveragingNetwork:
    """Fit a network.

    Args:
        means: float32 [n_rows, width], see `mean_vectors`.
        targets: float32 [n_rows, n_categories]; each row sums to 1.
        vectors: float32 [n_token_ids, width].
        seed: Decides starting weights, order and dropout.
        options: Everything else that decides the fit.
    """
    centre, scale = means.mean(axis=0), means.std(axis=0) + 1e-5
    # Imported here: seconds that commands which fit nothing must not wait for, and a package that they do not need.
    from training_pipeline.cascade.averaging_network_torch import descend  # noqa: PLC0415

    weights = descend((means - centre) / scale, targets, seed=seed, options=options)
    projection, hidden, hidden_bias, output, output_bias = weights
    # The mean of projected vectors is the projection of their mean, so that the table can hold them projected.
    table = ((vectors - centre) / scale) @ projection
    return AveragingNetwork(
        vectors=table.astype(np.float16).astype(np.float32),
        hidden=hidden,
        hidden_bias=hidden_bias,
        output=output,
        output_bias=output_bias,
    )
