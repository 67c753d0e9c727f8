"""Hub models: tiny BERT and DistilBERT classifiers with random weights, made on the spot."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedTokenizerFast,
)

from model.calibration import softmax
from model.windowing import Windowing, render
from schemas import CHAT_13
from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.encoder.files import default_encoder_path
from training_pipeline.report.hub_model import HubModel, columns_of_labels, parse_label_order

REVERSED = {i: f"{code}. {CHAT_13.names[code].replace('_', ' ').title()}" for i, code in enumerate(CHAT_13.codes[::-1])}


def save_classifier(folder: Path, *, distilled: bool = False, labels: dict[int, str] | None = None) -> Path:
    """Write a tiny classifier with the real tokenizer."""
    torch.manual_seed(1)
    labels = labels or REVERSED
    names: dict[str, Any] = {"id2label": labels, "label2id": {label: i for i, label in labels.items()}}
    if distilled:
        sizes = {"vocab_size": 30522, "dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16}
        model: Any = DistilBertForSequenceClassification(DistilBertConfig(**sizes, **names, initializer_range=0.3))
    else:
        sizes = {"vocab_size": 30522, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        config = BertConfig(**sizes, intermediate_size=16, initializer_range=0.3, **names)
        model = BertForSequenceClassification(config)
    model.save_pretrained(folder)
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "cls", "sep", "unk")}
    file = str(default_encoder_path() / "tokenizer.json")
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=file, model_max_length=512, **special)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("distilled", [False, True])
def test_a_hub_model_answers_as_transformers_itself_does_row_by_row(
    distilled: bool, few_chats: Path, tmp_path: Path
) -> None:
    """Batches, padding and the order of labels must change nothing."""
    folder = save_classifier(tmp_path / "hub", distilled=distilled)
    chats = read_labelled_chats([few_chats], Windowing(), frozenset())
    hub = HubModel(str(folder), taxonomy=CHAT_13, n_threads=1, max_tokens=64)
    found = hub.predict(chats)
    for i, turns in enumerate(chats.conversations[:6]):
        row = hub._tokenizer(
            render(turns, Windowing()), truncation=True, max_length=64, split_special_tokens=True, return_tensors="pt"
        )
        with torch.inference_mode():
            logits = hub._model(input_ids=row["input_ids"], attention_mask=row["attention_mask"]).logits.numpy()
        np.testing.assert_allclose(found.probabilities[i], softmax(logits[:, ::-1].copy())[0], atol=1e-5)
    assert (found.predicted == found.probabilities.argmax(axis=1)).all()
    usage = hub.usage(chats)
    assert usage is not None
    assert 24 < usage.n_input_tokens <= 24 * 64


def test_the_newest_tokens_are_kept_and_typed_special_tokens_stay_text(tmp_path: Path) -> None:
    """The latest user turn decides, and nobody ends a row from inside a message."""
    hub = HubModel(str(save_classifier(tmp_path / "hub")), taxonomy=CHAT_13, n_threads=1, max_tokens=8)
    rows = hub._tokenizer(
        ["old words come first and the last is cheese", "a [SEP] b"],
        truncation=True,
        max_length=8,
        split_special_tokens=True,
    )["input_ids"]
    assert hub._tokenizer.convert_ids_to_tokens(rows[0])[-2] == "cheese"
    assert hub._tokenizer.sep_token_id not in rows[1][:-1]


@pytest.mark.parametrize(
    "labels",
    [
        dict(enumerate(CHAT_13.codes)),
        dict(enumerate(CHAT_13.names.values())),
        {i: f"{code} - {CHAT_13.names[code].upper()}" for i, code in enumerate(CHAT_13.codes)},
    ],
)
def test_labels_by_code_by_name_and_by_both_are_understood(labels: dict[int, str]) -> None:
    """Models in the wild write them in many ways."""
    assert columns_of_labels(labels, CHAT_13, "m") == list(range(13))


@pytest.mark.parametrize(
    "labels",
    [
        {i: f"LABEL_{i}" for i in range(13)},
        dict(enumerate(CHAT_13.codes[:12])),
        {**dict(enumerate(CHAT_13.codes)), 12: "A"},
        {**dict(enumerate(CHAT_13.codes)), 13: "extra"},
    ],
)
def test_other_labels_are_refused_by_name_and_never_guessed(labels: dict[int, str]) -> None:
    """A wrong order gives a table that looks plausible and means nothing."""
    with pytest.raises(ValueError, match=rf"its labels are .*{labels[0]}.*--hub-labels"):
        columns_of_labels(labels, CHAT_13, "m")


def test_a_stated_order_stands_in_for_missing_labels(tmp_path: Path) -> None:
    """Published models often keep LABEL_0 to LABEL_12."""
    unnamed = save_classifier(tmp_path / "hub", labels={i: f"LABEL_{i}" for i in range(13)})
    with pytest.raises(ValueError, match="LABEL_0"):
        HubModel(str(unnamed), taxonomy=CHAT_13, n_threads=1)
    hub = HubModel(
        str(unnamed),
        taxonomy=CHAT_13,
        n_threads=1,
        label_order=parse_label_order("".join(CHAT_13.codes[::-1]), CHAT_13),
    )
    assert hub._columns == list(range(12, -1, -1))
    with pytest.raises(ValueError, match="each of A,B,C,D,E,F,G,H,I,J,K,L,M once"):
        parse_label_order("ABC", CHAT_13)


def test_weights_that_are_not_safetensors_are_refused(tmp_path: Path) -> None:
    """A pickle runs code when it is loaded."""
    folder = save_classifier(tmp_path / "hub")
    torch.save({}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"does not load.*safetensors"):
        HubModel(str(folder), taxonomy=CHAT_13, n_threads=1)


def test_a_model_that_is_not_there_is_not_fetched_unasked(tmp_path: Path) -> None:
    """A measurement must not reach for the network by itself."""
    shutil.rmtree(tmp_path / "hub", ignore_errors=True)
    with pytest.raises(ValueError, match="--allow-download"):
        HubModel("nobody/no-such-model", taxonomy=CHAT_13, n_threads=1)
