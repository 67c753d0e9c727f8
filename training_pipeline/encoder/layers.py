"""Keep the first layers of an encoder: a smaller start for a smaller, faster model, and for smoke tests."""

import re
import shutil
from pathlib import Path
from typing import Final

import orjson
from safetensors.numpy import load_file, save_file

from training_pipeline.encoder.files import read_encoder_shape
from training_pipeline.encoder.source import source_of, write_source

_LAYER: Final = re.compile(r"(?:.*\.)?layer\.(\d+)\..+")
_COPIED: Final = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json")


def keep_layers(encoder: Path, n_layers: int, out: Path) -> Path:
    """Write an encoder with the first layers of another and return its folder.

    Args:
        encoder: Folder of a BERT or DistilBERT encoder.
        n_layers: Layers to keep.
        out: Folder to write; an existing one is replaced.

    Raises:
        ValueError: the encoder has fewer layers, or is another kind.
    """
    shape = read_encoder_shape(encoder)
    if n_layers > shape.n_layers:
        raise ValueError(f"{encoder}: has {shape.n_layers} layers; expected at least the {n_layers} that shall be kept")
    config = orjson.loads((encoder / "config.json").read_bytes())
    name = "n_layers" if "n_layers" in config else "num_hidden_layers"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / "config.json").write_bytes(orjson.dumps({**config, name: n_layers}, option=orjson.OPT_INDENT_2))
    kept = {
        key: value
        for key, value in load_file(encoder / "model.safetensors").items()
        if (layer := _LAYER.fullmatch(key)) is None or int(layer[1]) < n_layers
    }
    save_file(kept, out / "model.safetensors", metadata={"format": "pt"})
    for file in _COPIED:
        if (encoder / file).is_file():
            shutil.copyfile(encoder / file, out / file)
    write_source(out, source_of(encoder).changed(f"its first {n_layers} of {shape.n_layers} layers"))
    return out
