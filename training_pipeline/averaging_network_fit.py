"""Fit the network of a first stage: the encoder's own token vectors, averaged per row, through one hidden layer.

The vectors are what the encoder's first layer reads, without the position, and stay as they are; the hidden layer is
of low rank, so that the bundle's table needs few numbers per token id. Targets are the chats' soft labels.

Invariant: the same chats, vectors and options give the same network, on the same kind of processor.
Source: see `model.averaging_network`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.averaging_network import AveragingNetwork
from model.calibration import FloatArray
from model.tokenization import TokenIds
from schemas import CODES


@dataclass(frozen=True)
class NetworkOptions:
    """What decides a network besides its chats."""

    n_dimensions: int = 128
    n_units: int = 384
    dropout: float = 0.3
    n_epochs: int = 12
    batch_rows: int = 256
    rate: float = 2e-3
    """AdamW's, falling to 0 epoch by epoch."""
    weight_decay: float = 0.01


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
        targets: float32 [n_rows, 13]; each row sums to 1.
        vectors: float32 [n_token_ids, width].
        seed: Decides starting weights, order and dropout.
        options: Everything else that decides the fit.
    """
    centre, scale = means.mean(axis=0), means.std(axis=0) + 1e-5
    with _alone(seed):
        project = nn.Linear(means.shape[1], options.n_dimensions, bias=False)
        hidden = nn.Linear(options.n_dimensions, options.n_units)
        output = nn.Linear(options.n_units, len(CODES))
        network = nn.Sequential(project, hidden, nn.ReLU(), nn.Dropout(options.dropout), output)
        _train(network, torch.tensor((means - centre) / scale), torch.tensor(targets), options)
    # The mean of projected vectors is the projection of their mean, so that the table can hold them projected.
    table = ((vectors - centre) / scale) @ _array(project.weight).T
    return AveragingNetwork(
        vectors=table.astype(np.float16).astype(np.float32),
        hidden=_array(hidden.weight).T.copy(),
        hidden_bias=_array(hidden.bias),
        output=_array(output.weight).T.copy(),
        output_bias=_array(output.bias),
    )


def _train(network: nn.Module, features: torch.Tensor, targets: torch.Tensor, options: NetworkOptions) -> None:
    optimiser = torch.optim.AdamW(network.parameters(), lr=options.rate, weight_decay=options.weight_decay)
    for epoch in range(options.n_epochs):
        for group in optimiser.param_groups:
            group["lr"] = options.rate * (1 - epoch / options.n_epochs)
        for rows in torch.randperm(len(features)).split(options.batch_rows):
            loss = nn.functional.cross_entropy(network(features[rows]), targets[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


def _array(weights: torch.Tensor) -> NDArray[np.float32]:
    return weights.detach().numpy()


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """Seed torch and keep it to one thread, or sums would depend on how many there are; both end with the block."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(n_threads)
