"""The network: a pretrained encoder, one vector per row, one linear layer to the categories, maybe a hidden one before.

Mean pooling is what the default sentence encoder was pretrained with (all-MiniLM-L6-v2, Apache-2.0), so the head starts
from a representation that already separates topics. Encoders that were pretrained with a first token for the whole text
may do better with that one.
"""

import inspect
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig
from transformers.models.auto import MODEL_MAPPING

HEAD_WEIGHT: Final = "classification_head.weight"
HEAD_BIAS: Final = "classification_head.bias"
"""Names of a trained head in an encoder's folder, see `training_pipeline.encoder.from_bundle`."""
HIDDEN_WEIGHT: Final = "hidden.weight"
"""In a checkpoint whose network has a hidden layer."""

_DROPOUTS: Final = ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout")
"""Names of the dropout rates in the configurations of BERT and DistilBERT."""


class EncoderClassifier(nn.Module):
    """Conversation classifier.

    Args:
        encoder: A transformers encoder that returns last_hidden_state.
        hidden_size: Width of last_hidden_state.
        n_categories: Of the taxonomy.
        dropout: Dropout rate before the linear layer.
        pooling: `mean` over the real tokens, or `cls`, the first token.
        hidden_layer: Whether a layer of `hidden_size` units with ReLU stands before the linear one.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden_size: int,
        n_categories: int,
        dropout: float = 0.1,
        pooling: str = "mean",
        hidden_layer: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(hidden_size, hidden_size) if hidden_layer else None
        self.head = nn.Linear(hidden_size, n_categories)
        self.pooling = pooling

    @classmethod
    def from_pretrained(
        cls,
        path: Path,
        *,
        n_categories: int,
        dropout: float = 0.1,
        encoder_dropout: float = 0.0,
        pooling: str = "mean",
        hidden_layer: bool = False,
    ) -> "EncoderClassifier":
        """Load the encoder from a local transformers folder, without its pooler.

        The head starts at random where the folder holds none.

        Args:
            path: Folder with config.json and model.safetensors.
            n_categories: Of the taxonomy.
            dropout: Dropout rate before the linear layer.
            encoder_dropout: Dropout rate inside the encoder, on hidden states and attention.
            pooling: `mean` or `cls`.
            hidden_layer: Whether a hidden layer stands before the linear one.
        """
        config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        options = {name: encoder_dropout for name in _DROPOUTS if hasattr(config, name)} | _without_pooler(config)
        encoder = AutoModel.from_pretrained(
            path, local_files_only=True, trust_remote_code=False, use_safetensors=True, **options
        )
        model = cls(
            encoder,
            hidden_size=encoder.config.hidden_size,
            n_categories=n_categories,
            dropout=dropout,
            pooling=pooling,
            hidden_layer=hidden_layer,
        )
        if not hidden_layer:
            _take_head(model, path)
        return model

    @classmethod
    def from_checkpoint(cls, path: Path, checkpoint: Path, *, pooling: str = "mean") -> "EncoderClassifier":
        """Build the network of a trained checkpoint; only the encoder's configuration is read from its folder.

        Args:
            path: Folder with config.json.
            checkpoint: Weights that `train` wrote.
            pooling: `mean` or `cls`, as in training.
        """
        from safetensors.torch import load_file  # noqa: PLC0415

        config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        encoder = AutoModel.from_config(config, trust_remote_code=False, **_without_pooler(config))
        weights = load_file(checkpoint)
        model = cls(
            encoder,
            hidden_size=encoder.config.hidden_size,
            n_categories=len(weights["head.bias"]),
            pooling=pooling,
            hidden_layer=HIDDEN_WEIGHT in weights,
        )
        model.load_state_dict(weights)
        return model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return logits, float32 [rows, n_categories], for int64 ids and mask, each [rows, tokens]."""
        return self.classify(self.embed(input_ids, attention_mask))

    def embed(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return one vector per row, [rows, hidden_size], for int64 ids and mask, each [rows, tokens]."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if self.pooling == "cls":
            pooled: Tensor = hidden[:, 0]
        else:
            mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        return pooled

    def classify(self, pooled: Tensor) -> Tensor:
        """Return logits, float32 [rows, n_categories], for vectors as `embed` gives them."""
        features = self.dropout(pooled)
        if self.hidden is not None:
            features = self.hidden(features).relu()
        logits: Tensor = self.head(features)
        return logits.float()

    def head_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of all layers after the encoder."""
        layers = [self.head] if self.hidden is None else [self.hidden, self.head]
        return [parameter for layer in layers for parameter in layer.parameters()]


def _without_pooler(config: PretrainedConfig) -> dict[str, Any]:
    network: Any = MODEL_MAPPING[type(config)]
    return {"add_pooling_layer": False} if "add_pooling_layer" in inspect.signature(network).parameters else {}


def _take_head(model: EncoderClassifier, folder: Path) -> None:
    """Start the head from the folder's, where it has one for as many categories."""
    from safetensors import safe_open  # noqa: PLC0415

    if not (folder / "model.safetensors").is_file():
        return
    with safe_open(folder / "model.safetensors", framework="pt") as tensors:
        if HEAD_WEIGHT not in tensors.keys():  # noqa: SIM118  (safetensors' handle is no mapping)
            return
        if len(tensors.get_tensor(HEAD_BIAS)) == model.head.out_features:
            model.head.load_state_dict(
                {"weight": tensors.get_tensor(HEAD_WEIGHT), "bias": tensors.get_tensor(HEAD_BIAS)}
            )


def pad_batch(rows: list[list[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Pad token rows to the longest: int64 ids and mask, each [rows, longest]."""
    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), pad_id, dtype=torch.int64)
    mask = torch.zeros((len(rows), longest), dtype=torch.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
        mask[i, : len(row)] = 1
    return ids, mask
