"""Make a student's encoder out of its teacher: some of the layers, and the part of the vocabulary that is used.

The result is an ordinary encoder folder (config.json, model.safetensors, tokenizer.json): training, calibration and
export take it like any other.
Source: Sanh, Debut, Chaumond, Wolf, "DistilBERT" (2019), which starts the student from layers of its teacher.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from safetensors.numpy import load_file, save_file

from model.tokenization import ConversationTokenizer
from training_pipeline.bundle.export import read_weights
from training_pipeline.chats.data_record import DATA_NAME
from training_pipeline.distil.vocabulary import pruned_tokenizer, used_tokens
from training_pipeline.encoder.files import CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE
from training_pipeline.encoder.source import UNKNOWN_SOURCE, EncoderSource, recorded_source, source_of, write_source
from training_pipeline.graph.onnx_graph import FloatMatrix
from training_pipeline.train.run_folder import chosen_epoch, encoder_of

_LAYER: Final = re.compile(r"(.*\blayer\.)(\d+)(\..+)")
_WORDS: Final = "embeddings.word_embeddings.weight"
_IN_RUN: Final = "encoder."
_COUNT_NAMES: Final = ("num_hidden_layers", "n_layers")
_UNUSED: Final = ("pooler.", "cls.", "vocab_", "head.")
"""Tensors of other tasks' heads, which some encoder folders carry."""


@dataclass(frozen=True)
class StudentShape:
    """What becomes smaller."""

    layers: tuple[int, ...] | None = None
    """Layers of the teacher in their new order; None leaves it to `n_layers`."""
    n_layers: int | None = None
    """Number of layers, spread over the teacher's; None keeps all."""
    min_token_count: int | None = None
    """Tokens that the training texts hold less often are cut off; None keeps the vocabulary."""


def spread_layers(n_teacher: int, n_student: int) -> tuple[int, ...]:
    """Return evenly spread layers, the first and the last one among them.

    Raises:
        ValueError: the student would have more layers than the teacher, or none.
    """
    if not 1 <= n_student <= n_teacher:
        raise ValueError(f"{n_student} layers from a teacher with {n_teacher}; expected 1 to {n_teacher}")
    if n_student == 1:
        return (n_teacher - 1,)
    return tuple(round(i * (n_teacher - 1) / (n_student - 1)) for i in range(n_student))


def write_student(
    start: Path, out: Path, shape: StudentShape, texts: Sequence[str], *, max_tokens: int
) -> dict[str, Any]:
    """Write the student's encoder folder and return what it is made of.

    Args:
        start: Folder of a run, whose chosen checkpoint is taken, or of an encoder.
        out: Folder to write.
        shape: What becomes smaller.
        texts: Rendered windows of the training chats; they decide the vocabulary.
        max_tokens: Longest row.

    Raises:
        ValueError: the folder is neither, or lacks a layer that is asked for.
    """
    folder, weights = _read_start(start)
    config = orjson.loads((folder / CONFIG_FILE).read_bytes())
    count_name = next((name for name in _COUNT_NAMES if name in config), None)
    if count_name is None:
        raise ValueError(f"{folder / CONFIG_FILE}: none of {', '.join(_COUNT_NAMES)}; expected BERT or DistilBERT")
    layers = _chosen_layers(shape, config[count_name])
    weights, config[count_name] = _with_layers(weights, layers), len(layers)
    tokenizer_json = (folder / TOKENIZER_FILE).read_text(encoding="utf-8")
    n_tokens = len(weights[_WORDS])
    if shape.min_token_count is not None:
        rows = ConversationTokenizer(tokenizer_json, max_tokens=max_tokens).encode(texts)
        used = used_tokens(rows, min_count=shape.min_token_count)
        tokenizer_json, kept = pruned_tokenizer(tokenizer_json, used)
        weights[_WORDS] = np.ascontiguousarray(weights[_WORDS][kept])
        config["vocab_size"] = len(kept)
        if isinstance(pad_id := config.get("pad_token_id"), int):
            config["pad_token_id"] = int(np.searchsorted(kept, pad_id))
    out.mkdir(parents=True, exist_ok=True)
    save_file(weights, out / WEIGHTS_FILE, metadata={"format": "pt"})
    (out / TOKENIZER_FILE).write_text(tokenizer_json, encoding="utf-8")
    (out / CONFIG_FILE).write_bytes(orjson.dumps(config, option=orjson.OPT_INDENT_2))
    write_source(out, _source(start, folder).changed(f"the student keeps layers {', '.join(map(str, layers))}"))
    return {
        "layers_of_teacher": list(layers),
        "n_tokens_of_teacher": n_tokens,
        "n_tokens": len(weights[_WORDS]),
        "n_parameters": sum(value.size for value in weights.values()),
    }


def _read_start(start: Path) -> tuple[Path, dict[str, FloatMatrix]]:
    """Return where the configuration and the tokenizer are, and the encoder's tensors by their names in an encoder."""
    if (start / DATA_NAME).is_file():
        weights = read_weights(start, chosen_epoch(start))
        inside = {name[len(_IN_RUN) :]: value for name, value in weights.items() if name.startswith(_IN_RUN)}
        return encoder_of(start), inside
    path = start / WEIGHTS_FILE
    if not path.is_file():
        raise ValueError(f"{start}: neither a run's folder nor an encoder's; expected {DATA_NAME} or {WEIGHTS_FILE}")
    bare = {_bare(name): np.asarray(value, dtype=np.float32) for name, value in load_file(path).items()}
    return start, {name: value for name, value in bare.items() if not name.startswith(_UNUSED)}


def _source(start: Path, folder: Path) -> EncoderSource:
    """Return where the first weights come from; a run's own record where training began from one."""
    if (start / DATA_NAME).is_file():
        return recorded_source(folder) or UNKNOWN_SOURCE
    return source_of(folder)


def _bare(name: str) -> str:
    """Return a tensor's name without the prefix of a model with a head."""
    return re.sub(r"^(bert|distilbert)\.", "", name)


def _chosen_layers(shape: StudentShape, n_teacher: int) -> tuple[int, ...]:
    layers = shape.layers or spread_layers(n_teacher, shape.n_layers or n_teacher)
    if not all(0 <= layer < n_teacher for layer in layers):
        raise ValueError(f"layers are {layers}; expected some of 0 to {n_teacher - 1}")
    return layers


def _with_layers(weights: Mapping[str, FloatMatrix], layers: Sequence[int]) -> dict[str, FloatMatrix]:
    kept: dict[str, FloatMatrix] = {}
    for name, value in weights.items():
        match = _LAYER.fullmatch(name)
        if match is None:
            kept[name] = value
            continue
        for new, old in enumerate(layers):
            if int(match[2]) == old:
                kept[f"{match[1]}{new}{match[3]}"] = value
    return kept
