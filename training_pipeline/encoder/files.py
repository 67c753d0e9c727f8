"""Where the pretrained encoder lies, and what its configuration says.

An encoder is a folder with config.json, model.safetensors and tokenizer.json: the packaged one, one made out of a jar,
one in the hub's cache, or any other here. Weights in pickle and code from the hub are refused.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
from tokenizers import Tokenizer

from training_pipeline.encoder.packages import MAVEN_ENCODERS, MINILM, MINILM_MODULE, MPNET, NAMES

if TYPE_CHECKING:  # onnx, which the data stages do not need
    from training_pipeline.graph.onnx_graph import EncoderShape

CONFIG_FILE: Final = "config.json"
TOKENIZER_FILE: Final = "tokenizer.json"
WEIGHTS_FILE: Final = "model.safetensors"
ENCODER_FILES: Final = (CONFIG_FILE, TOKENIZER_FILE)
"""What is needed of an encoder once a checkpoint holds its weights."""

_CONFIG_NAMES: Final = {
    "bert": ("num_hidden_layers", "num_attention_heads"),
    "distilbert": ("n_layers", "n_heads"),
}
_DISTILBERT_EPSILON: Final = 1e-12
"""A constant in transformers' DistilBERT, not a field of its configuration."""

_NO_MPNET: Final = "MPNet adds a relative position bias inside its attention, which the graph does not have"

_DOWNLOADED: Final = [CONFIG_FILE, TOKENIZER_FILE, "*.safetensors", f"{WEIGHTS_FILE}.index.json"]


def default_encoder_path() -> Path:
    """Return the folder of the pretrained MiniLM-L6 encoder that ships as a Python package.

    Raises:
        ValueError: the package is not installed.
    """
    spec = find_spec(MINILM_MODULE)
    if spec is None or spec.origin is None:
        raise ValueError(f"package {MINILM_MODULE} is not installed; run `make setup-training`, or name --encoder")
    return Path(spec.origin).parent / "model"


def resolve_encoder(name: str, *, allow_download: bool = False, cache: Path | None = None) -> Path:
    """Return the folder of an encoder; one from Maven is fetched where the user's cache lacks it.

    Args:
        name: One of `NAMES`, `owner/model` on the hub, or a folder (`./bge-small` where it has the name of a package).
        allow_download: Whether the hub may be asked; otherwise its cache on this machine must hold the model.
        cache: The hub's cache; None takes its usual place.

    Raises:
        ValueError: there is no such encoder here, or it lacks a file.
    """
    if name == MINILM:
        return default_encoder_path()
    if name in MAVEN_ENCODERS:
        from training_pipeline.encoder.jar import maven_encoder  # noqa: PLC0415  (onnx, for a case that is rare)

        return maven_encoder(MAVEN_ENCODERS[name])
    if name == MPNET:
        raise ValueError(f"--encoder {MPNET}: {_NO_MPNET}; expected one of {', '.join(NAMES)}, a hub id or a folder")
    folder = Path(name)
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download  # noqa: PLC0415  (seconds of import for a case that is rare)
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        found = snapshot_download(
            name, allow_patterns=_DOWNLOADED, local_files_only=not allow_download, cache_dir=cache
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        raise ValueError(
            f"--encoder {name}: neither a folder nor a model in the hub's cache ({type(error).__name__}); expected "
            f"{', '.join(NAMES)}, a folder with config.json, model.safetensors and tokenizer.json, or a hub id with "
            "--allow-download"
        ) from error
    return Path(found)


def check_encoder(folder: Path, *, max_tokens: int) -> None:
    """Refuse a folder that cannot be trained from.

    Args:
        folder: The encoder's folder.
        max_tokens: Longest row that it must take.

    Raises:
        ValueError: a file is missing, the weights are only there as pickle, the tokenizer does not fit, or the encoder
            is of a kind that cannot be served.
    """
    if not any((folder / name).is_file() for name in (WEIGHTS_FILE, f"{WEIGHTS_FILE}.index.json")):
        pickled = sorted(path.name for pattern in ("*.bin", "*.pt", "*.ckpt") for path in folder.glob(pattern))
        raise ValueError(
            f"{folder}: no {WEIGHTS_FILE}{f' (only {pickled}, which is pickle)' if pickled else ''}; expected "
            "weights as safetensors; convert them where the model comes from"
        )
    config = _read_config(folder)
    # Before hours of training, not after them: `export` would refuse it.
    read_encoder_shape(folder)
    try:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    except Exception as error:  # tokenizers raises nothing narrower
        raise ValueError(f"{folder / TOKENIZER_FILE}: cannot be read ({error}); expected a fast tokenizer") from error
    pad_id, padded = tokenizer.token_to_id("[PAD]"), config.get("pad_token_id")
    if pad_id is None:
        raise ValueError(
            f"{folder / TOKENIZER_FILE}: no [PAD] token; expected a BERT-like encoder (BERT, DistilBERT, MiniLM)"
        )
    if padded is not None and padded != pad_id:
        raise ValueError(
            f"{folder}: [PAD] is token {pad_id} in {TOKENIZER_FILE}, {CONFIG_FILE} says pad_token_id {padded}, "
            f"which is {tokenizer.id_to_token(padded)!r}; expected the same token: rows are padded with [PAD]; take "
            "another encoder, or the tokenizer of that model"
        )
    n_rows, n_positions = config.get("vocab_size", 0), config.get("max_position_embeddings", 0)
    if tokenizer.get_vocab_size() > n_rows or max_tokens > n_positions:
        raise ValueError(
            f"{folder}: {tokenizer.get_vocab_size()} tokens for {n_rows} embeddings, {n_positions} positions for rows "
            f"of {max_tokens} tokens; expected no more than there are; take the tokenizer of that model, or lower "
            "windowing.max_tokens"
        )


def read_encoder_shape(encoder: Path, *, pooling: str = "mean") -> "EncoderShape":
    """Read what the weights do not tell from the encoder's config.json.

    Args:
        encoder: Folder with its config.json.
        pooling: The run's, `mean` or `cls`.

    Raises:
        ValueError: it is not an encoder that `onnx_graph` can write down.
    """
    from training_pipeline.graph.onnx_graph import EncoderShape  # noqa: PLC0415  (onnx)

    config = _read_config(encoder)
    names = _CONFIG_NAMES.get(str(config.get("model_type")))
    activation = config.get("activation" if config.get("model_type") == "distilbert" else "hidden_act")
    if names is None or activation != "gelu" or config.get("position_embedding_type", "absolute") != "absolute":
        raise ValueError(
            f"{encoder / CONFIG_FILE}: model_type {config.get('model_type')!r} with {activation!r}; expected one of "
            f"{', '.join(_CONFIG_NAMES)} with 'gelu' and absolute positions: the graph is written for these encoders"
            f"{f' ({_NO_MPNET})' if config.get('model_type') == MPNET else ''}"
        )
    n_layers, n_heads = names
    return EncoderShape(
        n_layers=config[n_layers],
        n_heads=config[n_heads],
        layer_norm_epsilon=config.get("layer_norm_eps", _DISTILBERT_EPSILON),
        pooling=pooling,
    )


def _read_config(encoder: Path) -> dict[str, Any]:
    path = encoder / CONFIG_FILE
    try:
        config = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({error}); expected a transformers encoder's folder") from error
    if not isinstance(config, dict):
        # A ValueError like every other fault of an encoder's folder.
        raise ValueError(f"{path}: holds a {type(config).__name__}; expected a transformers configuration")  # noqa: TRY004
    return config
