"""What decides the network of a first stage besides its chats."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkOptions:
    """Size and training of a network with one hidden layer on a mean of vectors."""

    n_dimensions: int | None = 128
    """Rank of the hidden layer; None for a full one."""
    n_units: int = 384
    dropout: float = 0.3
    n_epochs: int = 12
    batch_rows: int = 256
    rate: float = 2e-3
    """AdamW's, falling to 0 epoch by epoch."""
    weight_decay: float = 0.01
