"""ShareGPT's form and chat-completions requests are extracted; serving does not take them."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.training_pipeline.data.chat_files import read_lines, rejects_of, write_lines
from training_pipeline.data import extract
from training_pipeline.data.foreign_chats import as_chat_event

SHAREGPT: dict[str, Any] = {
    "id": "share-1",
    "conversations": [
        {"from": "system", "value": "Be brief."},
        {"from": "human", "value": "How warm is it?"},
        {"from": "function_call", "value": "weather()"},
        {"from": "observation", "value": "21 C"},
        {"from": "GPT", "value": "21 degrees."},
    ],
}
REQUEST: dict[str, Any] = {
    "model": "some-model",
    "temperature": 0.2,
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "what is this"}, {"type": "image_url", "image_url": {}}]},
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function"}]},
    ],
}


def extracted(tmp_path: Path, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what `extract` makes of these documents."""
    path = write_lines(tmp_path / "records.jsonl", rows)
    extract.extract_files([path], tmp_path / "out.jsonl", last_messages=12)
    return read_lines(tmp_path / "out.jsonl")


def test_sharegpt_is_extracted_with_our_roles(tmp_path: Path) -> None:
    """Most public chats come in this form."""
    (row,) = extracted(tmp_path, SHAREGPT)
    assert row["chat_id"] == "share-1"
    assert [(message["role"], message["content"]) for message in row["messages"]] == [
        ("system", "Be brief."),
        ("user", "How warm is it?"),
        ("assistant", "weather()"),
        ("tool", "21 C"),
        ("assistant", "21 degrees."),
    ]


def test_a_chat_completions_request_is_extracted_under_a_name_of_its_content(tmp_path: Path) -> None:
    """Logs of a gateway hold nothing that names the chat; the same messages have the same name in every run."""
    first, again, other = extracted(
        tmp_path, REQUEST, REQUEST | {"temperature": 1}, REQUEST | {"messages": [{"role": "user", "content": "x"}]}
    )
    assert first["chat_id"] == again["chat_id"] != other["chat_id"]
    assert first["messages"] == [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "what is this"},
    ]


def test_an_unknown_speaker_is_rejected(tmp_path: Path) -> None:
    """Who said it changes what is judged, so a role is never guessed."""
    extracted(
        tmp_path,
        {"conversations": [{"from": "narrator", "value": "x"}]},
        {"conversations": [{"from": 1, "value": "x"}, 2]},
    )
    assert rejects_of(tmp_path / "out.jsonl") == {"records.jsonl#1": "schema_error", "records.jsonl#2": "schema_error"}


@pytest.mark.parametrize("raw", [b"{", b"[]", b"{}", orjson.dumps({"chat_id": "c", "model": "m", "messages": []})])
def test_what_is_in_neither_form_is_left_alone(raw: bytes) -> None:
    """Its own error says more."""
    assert as_chat_event(raw) is None
