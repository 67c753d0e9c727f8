"""The frozen sentence encoder that ships with the package: texts in, unit vectors out.

All bundles of the kind "encoder and head" share it, so each of them holds a few kilobytes. It was quantised by
`python -m training_pipeline freeze-encoder`; nothing here trains it.

Invariant: a head is used on the encoder that it was fitted on and on no other; the digest of the encoder's manifest
says which one that is.
"""

from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model.bundle.files import read_file, sha256_of, verified_file
from model.bundle.manifest import FileEntry
from model.calibration import FloatArray
from model.errors import BundleError

FROZEN_ENCODER_PATH: Final = Path(__file__).parents[1] / "frozen_encoder"

ENCODER_MANIFEST: Final = "manifest.json"
ENCODER_MODEL: Final = "model.onnx"
ENCODER_TOKENIZER: Final = "tokenizer.json"
ENCODER_LICENCE: Final = "LICENCE.txt"
ENCODER_SHIFT: Final = "text_shift.npy"
ENCODER_FILES: Final = frozenset({ENCODER_MODEL, ENCODER_TOKENIZER, ENCODER_LICENCE, ENCODER_SHIFT})

_REMEDY: Final = "install the package again, or run `python -m training_pipeline freeze-encoder`"
_SMALLEST_NORM: Final = 1e-9


class EncoderManifest(BaseModel):
    """What the encoder's files are and where its weights come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1]
    name: str = Field(min_length=1, max_length=64)
    n_dimensions: int = Field(gt=0)
    pooling: Literal["mean", "cls"]
    max_tokens: int = Field(ge=8, description="Positions that the encoder has.")
    files: dict[str, FileEntry]
    quantisation: str
    source: str = Field(description="Package, version and digests of the weights.")
    licence: str


@dataclass(frozen=True)
class FrozenEncoder:
    """A verified encoder, in memory."""

    manifest: EncoderManifest
    digest: str
    """Digest of its manifest.json, which holds the digests of its other files."""
    model: bytes
    tokenizer_json: str
    text_shift: FloatArray
    """float32 [n_dimensions]: what sets texts apart from the descriptions of their classes, on the mean of the sets in
    data/described. A head is fitted with it; serving does not need it."""


@cache
def shipped_encoder() -> FrozenEncoder:
    """Return the encoder that ships with the package, read and verified once.

    Raises:
        BundleError: as `load_frozen_encoder`.
    """
    return load_frozen_encoder(FROZEN_ENCODER_PATH)


def load_frozen_encoder(folder: Path) -> FrozenEncoder:
    """Read and verify the encoder in a folder.

    Raises:
        BundleError: a file is missing, altered or a link, or the manifest is not understood.
    """
    raw = read_file(folder, ENCODER_MANIFEST, _REMEDY)
    try:
        manifest = EncoderManifest.model_validate_json(raw)
    except ValidationError as error:
        raise BundleError(f"{folder / ENCODER_MANIFEST}: not an encoder's manifest: {error}; {_REMEDY}") from error
    if manifest.files.keys() != ENCODER_FILES:
        raise BundleError(
            f"{folder / ENCODER_MANIFEST}: files are {sorted(manifest.files)}; expected {sorted(ENCODER_FILES)}; "
            f"{_REMEDY}"
        )
    contents = {name: verified_file(folder, name, entry.digest, _REMEDY) for name, entry in manifest.files.items()}
    return FrozenEncoder(
        manifest=manifest,
        digest=sha256_of(raw),
        model=contents[ENCODER_MODEL],
        tokenizer_json=contents[ENCODER_TOKENIZER].decode(),
        text_shift=_text_shift(folder / ENCODER_SHIFT, contents[ENCODER_SHIFT], manifest.n_dimensions),
    )


def _text_shift(path: Path, content: bytes, n_dimensions: int) -> FloatArray:
    try:
        shift = np.load(BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise BundleError(f"{path}: not an array ({error}); {_REMEDY}") from error
    if shift.dtype != np.float32 or shift.shape != (n_dimensions,) or not np.isfinite(shift).all():
        raise BundleError(f"{path}: {shift.dtype} {shift.shape}; expected {n_dimensions} finite float32; {_REMEDY}")
    found: FloatArray = shift
    return found


def unit_rows(vectors: FloatArray) -> FloatArray:
    """Return the vectors at length 1, float32 [n_rows, n_dimensions]; a zero vector stays one."""
    # Row by row, so that a row's bits do not depend on its neighbours.
    lengths = np.sqrt(np.matmul(vectors[:, None, :], vectors[:, :, None]))[:, 0]
    unit: FloatArray = (vectors / np.maximum(lengths, np.float32(_SMALLEST_NORM))).astype(np.float32, copy=False)
    return unit
