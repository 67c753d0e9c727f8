"""A bundle laid out for infinity-emb: the same tokens reach the same model, under the names of its labels."""

import json
from pathlib import Path

from loadtest.chats import SAMPLE_CHATS, ChatPool
from loadtest.peers.infinity_folder import bundle_tokenizer, request_body, write_model
from model import load_bundle
from model.tokenization import ConversationTokenizer
from model.windowing import render
from schemas import CodecLimits, decode_conversation


def test_a_request_holds_the_tokens_that_the_classifier_reads_of_its_chat(bundle_path: Path) -> None:
    """Also of chats that are longer than a row."""
    manifest = load_bundle(bundle_path).manifest
    tokenizer = bundle_tokenizer(bundle_path, manifest)
    longest = manifest.windowing.max_tokens
    ours = ConversationTokenizer((bundle_path / "tokenizer.json").read_text("utf-8"), max_tokens=longest)
    whole = ConversationTokenizer((bundle_path / "tokenizer.json").read_text("utf-8"), max_tokens=10_000)
    pool = ChatPool.read(SAMPLE_CHATS, "run", limit=200)
    n_cut = 0
    for number in range(len(pool)):
        event = pool.outgoing(number, number).value or b""
        (text,) = json.loads(request_body(event, tokenizer, manifest))["input"]
        rendered = render(decode_conversation(event, CodecLimits())[1], manifest.windowing)
        assert whole.encode([text])[0].tolist() == ours.encode([rendered])[0].tolist()
        n_cut += text != rendered
    assert n_cut


def test_the_folder_names_the_labels_and_the_longest_row(bundle_path: Path, tmp_path: Path) -> None:
    """And holds the bundle's own model and tokenizer."""
    write_model(bundle_path, tmp_path / "model")
    manifest = load_bundle(bundle_path).manifest
    config = json.loads((tmp_path / "model" / "config.json").read_bytes())
    assert [config["id2label"][str(i)] for i in range(len(manifest.labels))] == list(manifest.labels)
    tokenizer_config = json.loads((tmp_path / "model" / "tokenizer_config.json").read_bytes())
    assert tokenizer_config["model_max_length"] == manifest.windowing.max_tokens
    assert (tmp_path / "model" / "onnx" / "model.onnx").read_bytes() == (bundle_path / "model.onnx").read_bytes()
    assert (tmp_path / "model" / "tokenizer.json").read_bytes() == (bundle_path / "tokenizer.json").read_bytes()
