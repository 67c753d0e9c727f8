"""The files of a bundle that is a head on the frozen encoder: format 2, without a model or a tokenizer of its own.

Invariant: the same head and taxonomy give the same bytes.
"""

from collections.abc import Mapping
from typing import Final

import orjson

from model.bundle.files import sha256_of
from model.bundle.manifest import (
    HEAD_NAME,
    MANIFEST_NAME,
    MODEL_CARD_NAME,
    EncoderRef,
    FileEntry,
    Manifest,
    Thresholds,
)
from model.described.embedding import TEXT_WINDOWING
from model.described.frozen_encoder import FrozenEncoder
from model.described.head import Head
from schemas import Taxonomy

TEMPERATURE: Final = 0.1
"""Above what fits labelled sets best, 0.06: there the classes named get more probability than they deserve on a quarter
to a half of the sets, here on one of twenty. Nobody measured it on the texts that a bundle will meet."""

_LEFT_OUT_WHERE_NONE: Final = ("class_groups", "first_stage", "evidence", "languages", "policy")


def head_bundle(
    head: Head, taxonomy: Taxonomy, encoder: FrozenEncoder, n_examples: Mapping[str, int]
) -> dict[str, bytes]:
    """Return the bundle's files by name, the manifest among them.

    Args:
        head: Its columns are the taxonomy's categories.
        taxonomy: Name and version are the bundle's too.
        encoder: What the head was fitted on.
        n_examples: By class.
    """
    card = _model_card(taxonomy, encoder, n_examples)
    files = {HEAD_NAME: head.to_bytes(), MODEL_CARD_NAME: card.encode()}
    manifest = Manifest(
        format_version=2,
        name=taxonomy.name,
        version=taxonomy.version,
        taxonomy=taxonomy,
        calibrated=False,
        encoder=EncoderRef(name=encoder.manifest.name, digest=encoder.digest),
        labels=list(taxonomy.codes),
        files={name: FileEntry(digest=sha256_of(content), n_bytes=len(content)) for name, content in files.items()},
        windowing=TEXT_WINDOWING,
        temperature=TEMPERATURE,
        thresholds=Thresholds(allow_up_to=0.0, block_from=1.0),
        metrics={},
        training_data={
            "n_descriptions": sum(bool(category.description) for category in taxonomy.categories),
            "n_examples": sum(n_examples.values()),
            "encoder": encoder.manifest.source,
        },
        quantisation=encoder.manifest.quantisation,
        licence=f"of the encoder: {encoder.manifest.licence}",
    )
    dumped = manifest.model_dump(mode="json")
    for name in _LEFT_OUT_WHERE_NONE:
        if dumped[name] is None:
            del dumped[name]
    return {**files, MANIFEST_NAME: orjson.dumps(dumped, option=orjson.OPT_INDENT_2) + b"\n"}


def _model_card(taxonomy: Taxonomy, encoder: FrozenEncoder, n_examples: Mapping[str, int]) -> str:
    rows = [
        f"| {_cell(category.code)} | {_cell(category.name)} | {'yes' if category.description else 'no'} | "
        f"{n_examples.get(category.name, 0)} |"
        for category in taxonomy.categories
    ]
    return "\n".join(
        [
            f"# {taxonomy.name} {taxonomy.version}",
            "",
            "A linear head on a frozen sentence encoder, fitted to descriptions of the classes and to examples.",
            "Nothing was measured: there were no labelled texts to measure on. So the probabilities rank the classes",
            "and are not calibrated, and both risks of a decision are 1.",
            "",
            f"Encoder: {encoder.manifest.source}; {encoder.manifest.quantisation}.",
            "",
            "| code | class | described | examples |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            "It reads English; texts in other languages get a class too, often a wrong one.",
            "",
        ]
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
