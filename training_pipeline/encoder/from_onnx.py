"""Turn an encoder's ONNX file into weights that can be trained: a transformers folder of a BERT without its pooler.

An exported BERT keeps the names of its embeddings, biases and norms; the dense weights lost theirs, because the
exporter folded their transposes away. Each is found in front of the bias that is added to its product, and turned back.

Invariant: the folder holds every tensor of a `BertModel` without pooler and no other, or nothing is written.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import orjson
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

FloatArray = NDArray[np.float32]

_KEPT: Final = ("embeddings.", "encoder.")
_POSITION_IDS: Final = "embeddings.position_ids"
"""A counter that some exports carry; no weight."""
_PREFIX: Final = "[PREFIX]"
_LAYER_NORM_EPSILON: Final = 1e-12

_EMBEDDINGS: Final = (
    *(f"embeddings.{table}_embeddings.weight" for table in ("word", "position", "token_type")),
    *(f"embeddings.LayerNorm.{part}" for part in ("weight", "bias")),
)
_MODULES: Final = (
    *(f"attention.self.{part}" for part in ("query", "key", "value")),
    *("attention.output.dense", "attention.output.LayerNorm"),
    *("intermediate.dense", "output.dense", "output.LayerNorm"),
)


def bert_weights(model: onnx.ModelProto) -> dict[str, FloatArray]:
    """Return the tensors of an exported BERT by the names of transformers' `BertModel`, float32.

    Raises:
        ValueError: it is not the graph of a BERT encoder: a tensor is missing.
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights = {name: value for name, value in constants.items() if name.startswith(_KEPT) and name != _POSITION_IDS}
    factors = {node.output[0]: node.input[1] for node in model.graph.node if node.op_type == "MatMul"}
    for node in model.graph.node:
        if node.op_type != "Add":
            continue
        bias = next((name for name in node.input if name in weights and name.endswith(".bias")), None)
        factor = next((factors[name] for name in node.input if name in factors), None)
        if bias is not None and factor in constants:
            weights[f"{bias.removesuffix('.bias')}.weight"] = constants[factor].T
    _check_complete(weights)
    return {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in sorted(weights.items())}


def write_encoder(out: Path, weights: Mapping[str, FloatArray], tokenizer_json: bytes, *, n_heads: int) -> None:
    """Write an encoder's folder: config.json, model.safetensors and tokenizer.json.

    Args:
        out: Folder to write into.
        weights: What `bert_weights` returned.
        tokenizer_json: Contents of its tokenizer.json.
        n_heads: Attention heads; the tensors do not tell.
    """
    out.mkdir(parents=True, exist_ok=True)
    save_file(dict(weights), out / "model.safetensors", metadata={"format": "pt"})
    config = orjson.dumps(_config(weights, n_heads), option=orjson.OPT_INDENT_2)
    (out / "config.json").write_bytes(config)
    (out / "tokenizer.json").write_bytes(tokenizer_json)


def with_prefix(tokenizer_json: bytes, prefix: str) -> bytes:
    """Return a BERT tokenizer that puts the tokens of a text in front of each row, behind [CLS].

    Truncation leaves them where they are, so an encoder that was pretrained with such a prefix always sees it.
    """
    tokenizer = Tokenizer.from_str(tokenizer_json.decode())
    tokenizer.no_padding()
    encoded = tokenizer.encode(prefix, add_special_tokens=False)
    document = orjson.loads(tokenizer_json)
    template = document["post_processor"]
    template["single"].insert(1, {"SpecialToken": {"id": _PREFIX, "type_id": 0}})
    template["special_tokens"][_PREFIX] = {"id": _PREFIX, "ids": encoded.ids, "tokens": encoded.tokens}
    return orjson.dumps(document)


def tensors_digest(path: Path) -> str:
    """Return the SHA-256 of a weights file's tensors in hex: names, shapes and values, not how the file is laid out."""
    digest = hashlib.sha256()
    for name, value in sorted(load_file(path).items()):
        digest.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        digest.update(np.ascontiguousarray(value).data)
    return digest.hexdigest()


def _n_layers(weights: Mapping[str, NDArray[Any]]) -> int:
    return 1 + max((int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer.")), default=-1)


def _check_complete(weights: Mapping[str, NDArray[Any]]) -> None:
    layers = range(_n_layers(weights))
    wanted = {
        f"encoder.layer.{n}.{module}.{part}" for n in layers for module in _MODULES for part in ("weight", "bias")
    }
    wanted |= set(_EMBEDDINGS)
    if weights.keys() != wanted or not layers:
        differing = sorted(weights.keys() ^ wanted)[:3]
        raise ValueError(
            f"ONNX graph: {len(weights)} tensors of {len(layers)} layers found, {len(wanted)} expected, differing in "
            f"{', '.join(differing)}; expected an encoder that was exported from transformers' BertModel"
        )


def _config(weights: Mapping[str, FloatArray], n_heads: int) -> dict[str, Any]:
    vocabulary, hidden = weights["embeddings.word_embeddings.weight"].shape
    return {
        "architectures": ["BertModel"],
        "attention_probs_dropout_prob": 0.1,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": len(weights["encoder.layer.0.intermediate.dense.bias"]),
        "layer_norm_eps": _LAYER_NORM_EPSILON,
        "max_position_embeddings": len(weights["embeddings.position_embeddings.weight"]),
        "model_type": "bert",
        "num_attention_heads": n_heads,
        "num_hidden_layers": _n_layers(weights),
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "type_vocab_size": len(weights["embeddings.token_type_embeddings.weight"]),
        "vocab_size": vocabulary,
    }
