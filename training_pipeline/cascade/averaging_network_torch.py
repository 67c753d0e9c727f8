"""The gradient descent behind `averaging_network_fit`, in a module of its own because it imports torch."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.calibration import FloatArray
from training_pipeline.cascade.network_options import NetworkOptions


def descend(features: FloatArray, targets: FloatArray, *, seed: int, options: NetworkOptions) -> list[FloatArray]:
    """Return the weights: projection, hidden layer, its bias, output layer, its bias.

    Their shapes are [width, n_dimensions], [n_dimensions, n_units], [n_units], [n_units, n_categories] and
    [n_categories]. Without
    `n_dimensions` there is no projection, and what is returned for it is the identity.

    Args:
        features: float32 [n_rows, width].
        targets: float32 [n_rows, n_categories]; each row sums to 1.
        seed: Decides starting weights, order and dropout.
        options: Everything else that decides the fit.
    """
    with _alone(seed):
        width = features.shape[1]
        project: nn.Module = nn.Identity()
        if options.n_dimensions is not None:
            project = nn.Linear(width, options.n_dimensions, bias=False)
        hidden = nn.Linear(options.n_dimensions or width, options.n_units)
        output = nn.Linear(options.n_units, targets.shape[1])
        network = nn.Sequential(project, hidden, nn.ReLU(), nn.Dropout(options.dropout), output)
        _train(network, torch.tensor(features), torch.tensor(targets), options)
    projection = project.weight.T if isinstance(project, nn.Linear) else torch.eye(width)
    arrays = [projection, hidden.weight.T, hidden.bias, output.weight.T, output.bias]
    return [_array(weights) for weights in arrays]


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
    return np.ascontiguousarray(weights.detach().numpy())


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
