"""What decides the network of a first stage besides its chats."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkOptions:
    """Size and training of a `model.averaging_network.AveragingNetwork`."""

    n_dimensions: int = 128
    n_units: int = 384
    dropout: float = 0.3
    n_epochs: int = 12
    batch_rows: int = 256
    rate: float = 2e-3
    """AdamW's, falling to 0 epoch by epoch."""
    weight_decay: float = 0.01
