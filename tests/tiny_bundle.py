"""Bundles of any taxonomy, made on the spot: a few kilobytes, and a word decides the category."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from model.bundle.manifest import (
    CALIBRATION_NAME,
    MANIFEST_NAME,
    MODEL_CARD_NAME,
    MODEL_NAME,
    TOKENIZER_NAME,
    Manifest,
)
from model.bundle.thresholds import thresholds_for
from model.calibration import FORMAT_1_DECIMALS, RiskCurves, banned_mask, policy_scores
from model.windowing import Windowing
from schemas import Policy, Taxonomy
from tests.bundles import digest_of
from tests.tiny_onnx import summing_model

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_SURE = 6.0
"""Logit of the category that a word names."""


def tiny_bundle(
    folder: Path,
    taxonomy: Taxonomy,
    words: Mapping[str, str] | None = None,
    *,
    version: str = "1",
    policy: Policy | None = None,
    n_chats_each: int = 60,
    format_version: Literal[1, 2] = 2,
) -> Path:
    """Write a bundle and return its folder.

    Args:
        folder: Where it goes; must not exist.
        taxonomy: Its categories.
        words: Category by word; without, each category's code in lower case is its word.
        version: Its version.
        policy: Its default policy; without, what the taxonomy bans.
        n_chats_each: Calibration chats of each category; with 0 the bundle is not calibrated.
        format_version: Its format; 1 is for chat-13 under the default policy alone, and stores five decimals.
    """
    words = words or {code.lower(): code for code in taxonomy.codes}
    table = np.zeros((len(_SPECIAL) + len(words), len(taxonomy.codes)), np.float32)
    for row, code in enumerate(words.values(), start=len(_SPECIAL)):
        table[row, taxonomy.columns[code]] = _SURE
    contents = {
        MODEL_NAME: summing_model(table),
        TOKENIZER_NAME: _tokenizer([*_SPECIAL, *words]).to_str().encode(),
        MODEL_CARD_NAME: b"# A tiny model for tests\n",
    }
    chosen = policy or Policy.default_for(taxonomy)
    evidence, labels = _calibration(taxonomy, n_chats_each)
    is_format_1 = format_version == 1
    if is_format_1:
        evidence = evidence.round(FORMAT_1_DECIMALS)
    if n_chats_each:
        document = {"labels": [taxonomy.codes[label] for label in labels], "probabilities": evidence.tolist()}
        contents[CALIBRATION_NAME] = orjson.dumps(
            document if is_format_1 else document | {"evidence": evidence.tolist()}
        )
    mask = banned_mask(chosen.banned, taxonomy.codes)
    scores, truly_banned = policy_scores(evidence, mask), mask[labels]
    curves = RiskCurves(np.sort(scores[truly_banned]), np.sort(scores[~truly_banned]))
    manifest = Manifest(
        format_version=format_version,
        name=f"tiny-{taxonomy.name}"[:64],
        version=version,
        labels=list(taxonomy.codes),
        files={name: _entry(content) for name, content in contents.items()},
        windowing=Windowing(max_tokens=64),
        temperature=1.0,
        thresholds=thresholds_for(curves, chosen),
        metrics={},
        training_data={},
        quantisation="none",
        licence="MIT",
        **({} if is_format_1 else {"taxonomy": taxonomy, "policy": chosen, "calibrated": n_chats_each > 0}),
    )
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / MANIFEST_NAME).write_bytes(manifest.model_dump_json(exclude_unset=is_format_1).encode())
    return folder


def _entry(content: bytes) -> Any:
    return {"digest": digest_of(content), "n_bytes": len(content)}


def _tokenizer(vocabulary: list[str]) -> Tokenizer:
    ids = {token: number for number, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))  # noqa: S106  no password
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    )
    return tokenizer


def _calibration(taxonomy: Taxonomy, n_each: int) -> tuple[np.ndarray, np.ndarray]:
    """Return evidence, float64 [n_chats, n_categories], and labels of chats that are nearly always judged right."""
    n_categories = len(taxonomy.codes)
    labels = np.repeat(np.arange(n_categories), n_each)
    sure = np.tile(np.linspace(0.99, 0.75, n_each), n_categories) if n_each else np.zeros(0)
    evidence = np.repeat((1 - sure)[:, None] / (n_categories - 1), n_categories, axis=1)
    evidence[np.arange(len(labels)), labels] = sure
    return evidence.round(6), labels
