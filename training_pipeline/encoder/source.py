"""Where an encoder's weights come from: written beside them, kept by every run, printed in the model card."""

import re
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from model.bundle.files import sha256_of
from training_pipeline.encoder.packages import MINILM_PACKAGE, MIT_COPYRIGHT, MavenEncoder

SOURCE_NAME: Final = "source.json"

_HUB_FOLDER: Final = re.compile(r"models--(?P<owner>.+?)--(?P<model>.+)")


class EncoderSource(BaseModel):
    """Origin of pretrained weights, and what was done to them before training. Digests begin with `sha256:`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """What its publisher calls it."""
    origin: Literal["python", "maven", "hub", "folder", "unknown"]
    package: str | None = None
    """Name or coordinate in the registry."""
    version: str | None = None
    """Of the package; a hub model's commit."""
    package_digest: str | None = None
    weights_digest: str | None = None
    """Of the file that held the weights."""
    licence: str | None = None
    """Of the weights; None where nothing states it."""
    hub_id: str | None = None
    """Under which its publisher has it on the hub."""
    changes: list[str] = []
    """What was done to the weights or the tokenizer."""

    @model_validator(mode="before")
    @classmethod
    def _earlier_ones_have_a_link(cls, fields: Any) -> Any:
        """Read what bundles up to 1.4.0 and their runs say: the id as the path of a link."""
        if not isinstance(fields, dict) or not isinstance(fields.get("url"), str):
            return fields
        kept = {name: value for name, value in fields.items() if name != "url"}
        return {"hub_id": urlsplit(fields["url"]).path.strip("/"), **kept}

    def changed(self, change: str) -> "EncoderSource":
        """Return the source of what was made of this one."""
        return self.model_copy(update={"changes": [*self.changes, change]})

    def sentence(self) -> str:
        """Return the origin in words, for a model card."""
        licence = f"licence {self.licence}" if self.licence else "licence not stated"
        parts = [f"{self.model} ({licence})"]
        if self.package is not None:
            parts.append(f"from the {self.origin} package {self.package} {self.version or ''}".rstrip())
        elif self.origin == "unknown":
            parts.append("the run did not record where its weights come from")
        else:
            parts.append(f"from a {self.origin}" + (f" at commit {self.version}" if self.version else ""))
        digests = (("package", self.package_digest), ("weights", self.weights_digest))
        parts += [f"{name} {digest}" for name, digest in digests if digest is not None]
        return ", ".join([*parts, *self.changes])


UNKNOWN_SOURCE: Final = EncoderSource(model="an encoder", origin="unknown")


def source_of(folder: Path) -> EncoderSource:
    """Return where the weights in an encoder's folder come from.

    Raises:
        ValueError: its source.json is not one of this version.
    """
    recorded = recorded_source(folder)
    if recorded is not None:
        return recorded
    digest = _weights_digest(folder)
    if folder == _packaged_minilm():
        return EncoderSource(
            model="all-MiniLM-L6-v2",
            origin="python",
            package=MINILM_PACKAGE,
            version=metadata.version(MINILM_PACKAGE),
            weights_digest=digest,
            licence="Apache-2.0",
            hub_id="sentence-transformers/all-MiniLM-L6-v2",
        )
    cached = _HUB_FOLDER.fullmatch(folder.parent.parent.name)
    if cached is not None and folder.parent.name == "snapshots":
        name = f"{cached['owner']}/{cached['model']}"
        return EncoderSource(model=name, origin="hub", version=folder.name, weights_digest=digest, hub_id=name)
    return EncoderSource(model=folder.name, origin="folder", weights_digest=digest)


def recorded_source(folder: Path) -> EncoderSource | None:
    """Return what the folder's source.json says; None where it has none.

    Raises:
        ValueError: it is not one of this version.
    """
    path = folder / SOURCE_NAME
    if not path.is_file():
        return None
    try:
        return EncoderSource.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"{path}: not an encoder's source of this version: {error}; delete it") from error


def write_source(folder: Path, source: EncoderSource) -> None:
    """Write the source beside the encoder's files."""
    (folder / SOURCE_NAME).write_text(source.model_dump_json(indent=2, exclude_defaults=True) + "\n", encoding="utf-8")


def maven_source(encoder: MavenEncoder) -> EncoderSource:
    """Return the source of an encoder out of a jar."""
    source = EncoderSource(
        model=encoder.model,
        origin="maven",
        package=f"{encoder.group}:{encoder.artifact}",
        version=encoder.version,
        package_digest=f"sha256:{encoder.jar_sha256}",
        weights_digest=f"sha256:{encoder.onnx_sha256}",
        licence=encoder.licence,
        hub_id=encoder.hub_id,
    )
    return source.changed(f'its tokenizer puts "{encoder.prefix}" before each text') if encoder.prefix else source


def licence_notice(source: EncoderSource) -> str:
    """Return the notice that must go with weights made of this source; empty where none must."""
    holder = MIT_COPYRIGHT.get(source.model)
    return "" if holder is None else _MIT.format(model=source.model, copyright=holder)


def _packaged_minilm() -> Path | None:
    # Imported here: `files` needs this module for the run's copy.
    from training_pipeline.encoder.files import default_encoder_path  # noqa: PLC0415

    try:
        return default_encoder_path()
    except ValueError:
        return None


def _weights_digest(folder: Path) -> str | None:
    path = folder / "model.safetensors"
    return sha256_of(path.read_bytes()) if path.is_file() else None


_MIT: Final = """\
{model}: MIT License. {copyright}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
