"""The network: a pretrained encoder, mean pooling over real tokens, one linear layer to the 13 categories.

Mean pooling is what the sentence encoder was pretrained with (all-MiniLM-L6-v2, Apache-2.0), so the head starts from a
representation that already separates topics.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModel

from schemas import CODES


class EncoderClassifier(nn.Module):
    """Conversation classifier.

    Args:
        encoder: A transformers encoder that returns last_hidden_state.
        hidden_size: Width of last_hidden_state.
        dropout: Dropout rate before the linear layer.
    """

    def __init__(self, encoder: nn.Module, *, hidden_size: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, len(CODES))

    @classmethod
    def from_pretrained(cls, path: Path, *, dropout: float = 0.1, encoder_dropout: float = 0.0) -> "EncoderClassifier":
        """Load the encoder from a local transformers folder, without its pooler; the head starts at random.

        Args:
            path: Folder with config.json and model.safetensors.
            dropout: Dropout rate before the linear layer.
            encoder_dropout: Dropout rate inside the encoder, on hidden states and attention.
        """
        encoder = AutoModel.from_pretrained(
            path,
            add_pooling_layer=False,
            local_files_only=True,
            trust_remote_code=False,
            hidden_dropout_prob=encoder_dropout,
            attention_probs_dropout_prob=encoder_dropout,
        )
        return cls(encoder, hidden_size=encoder.config.hidden_size, dropout=dropout)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return logits, float32 [rows, 13], for int64 ids and mask, each [rows, tokens]."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits.float()


def load_weights(model: EncoderClassifier, path: Path) -> None:
    """Load a checkpoint written by `train` (safetensors, no pickle)."""
    from safetensors.torch import load_file  # noqa: PLC0415

    model.load_state_dict(load_file(path))


def pad_batch(rows: list[list[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Pad token rows to the longest: int64 ids and mask, each [rows, longest]."""
    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), pad_id, dtype=torch.int64)
    mask = torch.zeros((len(rows), longest), dtype=torch.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
        mask[i, : len(row)] = 1
    return ids, mask
