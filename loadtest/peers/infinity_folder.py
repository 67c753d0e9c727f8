"""A bundle's transformer as infinity-emb serves it, and the requests that ask it about chats.

    python -m loadtest.peers.infinity_folder --bundle BUNDLE --events FILE --out FOLDER

Writes FOLDER/model, which is laid out as Hugging Face does, and FOLDER/bodies.jsonl, one request for each chat that
`api` sends. A request holds what the model reads of its chat: the window of the bundle, cut to its longest row, because
infinity's classifier cuts nothing and fails beyond the model's last position. First stage, evidence and decisions are
not infinity's: it answers with less than the console does.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any, Final

import orjson
from tokenizers import Tokenizer

from loadtest.chats import ChatPool, new_run_id
from model import load_bundle
from model.bundle.manifest import Manifest
from model.windowing import render
from schemas import CodecLimits, decode_conversation

_SERVED_NAME: Final = "bundle"
_LIMITS: Final = CodecLimits()


def write_model(bundle: Path, folder: Path) -> None:
    """Write model, tokenizer and their descriptions into a new folder.

    Raises:
        BundleError: the bundle is refused.
        FileExistsError: the folder is there already.
    """
    manifest = load_bundle(bundle).manifest
    (folder / "onnx").mkdir(parents=True)
    shutil.copy(bundle / "model.onnx", folder / "onnx" / "model.onnx")
    shutil.copy(bundle / "tokenizer.json", folder / "tokenizer.json")
    for name, document in (("config.json", _config(manifest)), ("tokenizer_config.json", _tokenizer_config(manifest))):
        (folder / name).write_bytes(orjson.dumps(document))


def request_body(event: bytes, tokenizer: Tokenizer, manifest: Manifest) -> bytes:
    """Return the request that asks about a chat.

    Args:
        event: A chat event.
        tokenizer: The bundle's, cutting the oldest tokens.
        manifest: Of the bundle.

    Raises:
        RecordRejected: the event cannot be read.
    """
    text = render(decode_conversation(event, _LIMITS)[1], manifest.windowing)
    starts = [start for start, end in tokenizer.encode(text).offsets if end > start]
    return orjson.dumps({"model": _SERVED_NAME, "input": [text[min(starts, default=0) :]]})


def bundle_tokenizer(bundle: Path, manifest: Manifest) -> Tokenizer:
    """Return a bundle's tokenizer, cutting the oldest tokens of a longer row."""
    tokenizer = Tokenizer.from_str((bundle / "tokenizer.json").read_text("utf-8"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(manifest.windowing.max_tokens, direction="left")
    return tokenizer


def _config(manifest: Manifest) -> dict[str, Any]:
    # The kind of model is used for the names of its inputs alone: DistilBERT's are those of our graphs.
    return {
        "model_type": "distilbert",
        "architectures": ["DistilBertForSequenceClassification"],
        "id2label": {str(place): label for place, label in enumerate(manifest.labels)},
        "label2id": {label: place for place, label in enumerate(manifest.labels)},
    }


def _tokenizer_config(manifest: Manifest) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": manifest.windowing.max_tokens,
        "model_input_names": ["input_ids", "attention_mask"],
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }


def main() -> None:
    """Read the arguments and write."""
    parser = argparse.ArgumentParser()
    for name in ("--bundle", "--events", "--out"):
        parser.add_argument(name, required=True, type=Path)
    parser.add_argument("--chats", default=500, type=int)
    arguments = parser.parse_args()
    write_model(arguments.bundle, arguments.out / "model")
    manifest = load_bundle(arguments.bundle).manifest
    tokenizer = bundle_tokenizer(arguments.bundle, manifest)
    pool = ChatPool.read(arguments.events, new_run_id(), limit=arguments.chats)
    events = [pool.outgoing(number, number).value or b"" for number in range(len(pool))]
    lines = [request_body(event, tokenizer, manifest) for event in events]
    (arguments.out / "bodies.jsonl").write_bytes(b"\n".join(lines) + b"\n")


if __name__ == "__main__":
    main()
