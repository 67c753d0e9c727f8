"""Write the frozen encoder that ships: pretrained weights, quantised as the bundles are, without a classifier.

Invariant: the same weights give the same bytes.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Final, Literal

import numpy as np
import orjson
from safetensors.numpy import load_file

from model.bundle.files import sha256_of, write_folder
from model.bundle.manifest import FileEntry
from model.described.embedding import Embedder
from model.described.frozen_encoder import (
    ENCODER_LICENCE,
    ENCODER_MANIFEST,
    ENCODER_MODEL,
    ENCODER_SHIFT,
    ENCODER_TOKENIZER,
    EncoderManifest,
    FrozenEncoder,
    load_frozen_encoder,
)
from training_pipeline.describe.sets import DescribedSet, embedded, shift_of
from training_pipeline.encoder.files import TOKENIZER_FILE, WEIGHTS_FILE, check_encoder, read_encoder_shape
from training_pipeline.encoder.source import licence_notice, source_of
from training_pipeline.graph.onnx_graph import build_encoder_graph
from training_pipeline.graph.quantise import QUANTISATION, PerTokenProducts

Pooling = Literal["mean", "cls"]
POOLINGS: Final[dict[str, Pooling]] = {"mean": "mean", "cls": "cls"}

_PREFIX: Final = "encoder."
_POSITION_IDS: Final = "embeddings.position_ids"
"""A counter that some checkpoints carry; no weight."""
_WORDS: Final = "encoder.embeddings.word_embeddings.weight"
_POSITIONS: Final = "encoder.embeddings.position_embeddings.weight"
_SHIFT_DECIMALS: Final = 4
_LEAST_TOKENS: Final = 256
_APACHE: Final = "{model}: Apache License, Version 2.0; the text stands in LICENSE of this product.\n"


def freeze_encoder(
    encoder: Path, out: Path, *, sets: Sequence[DescribedSet], pooling: Pooling, n_threads: int
) -> FrozenEncoder:
    """Write an encoder's folder for serving, in place of an earlier one, and return what serving reads of it.

    Args:
        encoder: Folder with config.json, model.safetensors and tokenizer.json.
        out: Folder to write.
        sets: Described classes and their texts: what usually sets the two apart.
        n_threads: Inference threads.
        pooling: How its token vectors become one.

    Raises:
        ValueError: the encoder cannot be served, or nothing states under which licence its weights are.
    """
    check_encoder(encoder, max_tokens=_LEAST_TOKENS)
    source = source_of(encoder)
    if source.licence is None:
        raise ValueError(
            f"{encoder}: nothing states the licence of {source.model}; expected weights that may be shipped; take one "
            "of the packaged encoders"
        )
    weights = {
        f"{_PREFIX}{name}": np.asarray(value, dtype=np.float32)
        for name, value in load_file(encoder / WEIGHTS_FILE).items()
        if name != _POSITION_IDS
    }
    graph = build_encoder_graph(weights, read_encoder_shape(encoder, pooling=pooling), PerTokenProducts())
    model = graph.SerializeToString(deterministic=True)
    manifest = EncoderManifest(
        format_version=1,
        name=source.model,
        n_dimensions=weights[_WORDS].shape[1],
        pooling=pooling,
        max_tokens=len(weights[_POSITIONS]),
        files={},
        quantisation=QUANTISATION,
        source=source.sentence(),
        licence=source.licence,
    )
    contents = {
        ENCODER_MODEL: model,
        ENCODER_TOKENIZER: (encoder / TOKENIZER_FILE).read_bytes(),
        ENCODER_LICENCE: (licence_notice(source) or _APACHE.format(model=source.model)).encode(),
    }
    contents[ENCODER_SHIFT] = _shift_file(manifest, contents, sets, n_threads)
    files = {name: FileEntry(digest=sha256_of(content), n_bytes=len(content)) for name, content in contents.items()}
    document = orjson.dumps(
        manifest.model_copy(update={"files": files}).model_dump(mode="json"), option=orjson.OPT_INDENT_2
    )
    write_folder(out, {**contents, ENCODER_MANIFEST: document + b"\n"}, marker=ENCODER_MANIFEST)
    return load_frozen_encoder(out)


def _shift_file(
    manifest: EncoderManifest, contents: Mapping[str, bytes], sets: Sequence[DescribedSet], n_threads: int
) -> bytes:
    tokenizer_json = contents[ENCODER_TOKENIZER].decode()
    nothing = np.zeros(manifest.n_dimensions, dtype=np.float32)
    encoder = FrozenEncoder(manifest, "", contents[ENCODER_MODEL], tokenizer_json, nothing)
    embedder = Embedder(encoder, n_threads=n_threads)
    shifts = [shift_of(embedded(one, embedder)) for one in sets]
    buffer = BytesIO()
    # Four decimals, so that no rounding of another machine's products gives another file.
    np.save(buffer, np.mean(shifts, axis=0).round(_SHIFT_DECIMALS).astype(np.float32))
    return buffer.getvalue()


def pooling_named(name: str) -> Pooling:
    """Return the pooling of this name.

    Raises:
        ValueError: there is none.
    """
    if name not in POOLINGS:
        raise ValueError(f"--pooling {name}: expected one of {', '.join(POOLINGS)}")
    return POOLINGS[name]
