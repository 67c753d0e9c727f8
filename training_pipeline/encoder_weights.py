"""One set of weight names for the encoders that the graph can write down.

DistilBERT is a BERT encoder without token types, under other names; so its weights are renamed and given a token type
of zeros. Source: transformers, modeling_distilbert.py and modeling_bert.py.
"""

import re
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

_DISTILBERT_LAYER: Final = re.compile(r"encoder\.transformer\.layer\.(\d+)\.(.+)\.(weight|bias)")
_BERT_PART: Final[Mapping[str, str]] = {
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
_WORDS: Final = "encoder.embeddings.word_embeddings.weight"


def bert_weights(weights: Mapping[str, NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
    """Return the weights of an `EncoderClassifier` under BERT's names.

    Raises:
        KeyError: a DistilBERT layer holds a part that is not known.
    """
    if not any(_DISTILBERT_LAYER.fullmatch(name) for name in weights):
        return weights
    renamed = {_bert_name(name): value for name, value in weights.items()}
    renamed.setdefault(_SEGMENTS, np.zeros((1, weights[_WORDS].shape[1]), dtype=np.float32))
    return renamed


def _bert_name(name: str) -> str:
    found = _DISTILBERT_LAYER.fullmatch(name)
    return name if found is None else f"encoder.encoder.layer.{found[1]}.{_BERT_PART[found[2]]}.{found[3]}"
