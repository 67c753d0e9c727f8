"""Name DistilBERT's tensors as BERT's: the same network, with other names and without segments."""

import re
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

_LAYER: Final = re.compile(r"encoder\.transformer\.layer\.(\d+)\.(.+)\.(weight|bias)")
_PARTS: Final = {
    "attention.q_lin": "attention.self.query",
    "attention.k_lin": "attention.self.key",
    "attention.v_lin": "attention.self.value",
    "attention.out_lin": "attention.output.dense",
    "sa_layer_norm": "attention.output.LayerNorm",
    "ffn.lin1": "intermediate.dense",
    "ffn.lin2": "output.dense",
    "output_layer_norm": "output.LayerNorm",
}
_SEGMENTS: Final = "encoder.embeddings.token_type_embeddings.weight"


def as_bert(weights: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Return an `EncoderClassifier` checkpoint with the names of BERT; one of BERT comes back as it is."""
    if not any(_LAYER.fullmatch(name) for name in weights):
        return dict(weights)
    renamed = {_renamed(name): value for name, value in weights.items()}
    width = renamed["encoder.embeddings.word_embeddings.weight"].shape[1]
    return {**renamed, _SEGMENTS: np.zeros((1, width), dtype=np.float32)}


def _renamed(name: str) -> str:
    match = _LAYER.fullmatch(name)
    return f"encoder.encoder.layer.{match[1]}.{_PARTS[match[2]]}.{match[3]}" if match else name
