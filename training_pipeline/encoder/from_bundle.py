"""Turn a bundle's transformer back into weights that training can go on from.

A run's checkpoints may be gone; its bundle is not. Levels times scales are within half a step of the weights that were
exported, so a few hundred training steps are owed to the difference, not a whole run.

Invariant: what is written is an encoder's folder (config.json, model.safetensors, tokenizer.json) that holds the
classification head too, but for one behind a hidden layer. Exits between the layers and the first stage are not part of
it: `export` fits them anew.
"""

import re
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import orjson
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.numpy import save_file

from model.bundle.bundle import Bundle
from training_pipeline.encoder.classifier import HEAD_BIAS, HEAD_WEIGHT
from training_pipeline.encoder.files import CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE
from training_pipeline.encoder.source import UNKNOWN_SOURCE, EncoderSource, write_source
from training_pipeline.graph.onnx_graph import FloatMatrix

_SITES: Final = {
    "qkv.0": "attention.self.query",
    "qkv.1": "attention.self.key",
    "qkv.2": "attention.self.value",
    "attention_out.0": "attention.output.dense",
    "ffn_in.0": "intermediate.dense",
    "ffn_out.0": "output.dense",
}
_LEVELS: Final = re.compile(r"layer(\d+)\.(.+)\.levels")
_IN_GRAPH: Final = "encoder."
_CONFIG: Final = {
    "model_type": "bert",
    "architectures": ["BertModel"],
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "type_vocab_size": 1,
    "position_embedding_type": "absolute",
}


def write_encoder_of(bundle: Bundle, out: Path) -> Path:
    """Write the encoder and the head of a bundle and return their folder.

    Args:
        bundle: Its model.onnx is one that `export` wrote in INT8.
        out: Folder to write.

    Raises:
        ValueError: the graph is another one.
    """
    graph = onnx.load_from_string(bundle.model).graph
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    try:
        weights = _weights(constants)
        n_heads = next(node for node in graph.node if node.op_type == "MultiHeadAttention").attribute
    except (KeyError, StopIteration) as error:
        raise ValueError(
            f"{bundle.ref.name}: model.onnx lacks {error}; expected what `export` writes of a BERT encoder"
        ) from error
    width = weights["embeddings.word_embeddings.weight"].shape[1]
    config = _CONFIG | {
        "vocab_size": len(weights["embeddings.word_embeddings.weight"]),
        "max_position_embeddings": len(weights["embeddings.position_embeddings.weight"]),
        "hidden_size": width,
        "intermediate_size": len(weights["encoder.layer.0.intermediate.dense.bias"]),
        "num_hidden_layers": len({match[1] for name in constants if (match := _LEVELS.fullmatch(name))}),
        "num_attention_heads": next(attribute.i for attribute in n_heads if attribute.name == "num_heads"),
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "pad_token_id": 0,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / CONFIG_FILE).write_bytes(orjson.dumps(config, option=orjson.OPT_INDENT_2))
    save_file(weights, out / WEIGHTS_FILE, metadata={"format": "pt"})
    (out / TOKENIZER_FILE).write_text(bundle.tokenizer_json, encoding="utf-8")
    recorded = bundle.manifest.training_data.get("encoder")
    source = UNKNOWN_SOURCE if recorded is None else EncoderSource.model_validate(recorded)
    write_source(out, source.changed(f"read back from the INT8 bundle {bundle.ref.name} {bundle.ref.version}"))
    return out


def _weights(constants: dict[str, NDArray[np.generic]]) -> dict[str, FloatMatrix]:
    """Return the tensors under transformers' names; each dense weight is [n_out, n_in] there."""
    words, positions = (
        constants[f"{table}.levels"] * constants[f"{table}.scales"].astype(np.float32)
        for table in ("words", "positions")
    )
    weights: dict[str, FloatMatrix] = {
        "embeddings.word_embeddings.weight": words.astype(np.float32),
        "embeddings.position_embeddings.weight": positions.astype(np.float32),
        # The segment's vector was added to each position's.
        "embeddings.token_type_embeddings.weight": np.zeros((1, words.shape[1]), dtype=np.float32),
    }
    if "hidden.weight" not in constants:
        # Behind a hidden layer the head reads other vectors than the encoder's.
        weights[HEAD_WEIGHT] = constants["head.weight"].astype(np.float32)
        weights[HEAD_BIAS] = constants["head.bias"].astype(np.float32)
    for name, value in constants.items():
        if name.startswith(_IN_GRAPH):
            weights[name.removeprefix(_IN_GRAPH)] = value.astype(np.float32)
        elif match := _LEVELS.fullmatch(name):
            scales = constants[f"layer{match[1]}.{match[2]}.scales"].astype(np.float32)
            dense = f"encoder.layer.{match[1]}.{_SITES[match[2]]}"
            weights[f"{dense}.weight"] = np.ascontiguousarray((value.astype(np.float32) * scales).T)
        elif match := re.fullmatch(r"layer(\d+)\.qkv\.bias", name):
            for part, bias in zip(("query", "key", "value"), np.split(value.astype(np.float32), 3), strict=True):
                weights[f"encoder.layer.{match[1]}.attention.self.{part}.bias"] = bias
    return weights
