"""Which chat a record's key names, in the forms that serialisers write."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import chat_of_key

FRAME = b"\0\0\0\0\x07"


@pytest.mark.parametrize(
    "key",
    [
        b"chat-1",
        b'"chat-1"',
        FRAME + b"chat-1",
        FRAME + b'"chat-1"',
        b'{"chat_id":"chat-1"}',
        b'{"schema":{"type":"struct"},"payload":{"chat_id":"chat-1"}}',
        b'{"schema":{"type":"string"},"payload":"chat-1"}',
        FRAME + b'{"chat_id": "chat-1"}',
    ],
)
def test_every_form_of_text_names_the_chat(key: bytes) -> None:
    """A tombstone has nothing but its key: in six of seven forms it had evicted nothing, unseen."""
    assert chat_of_key(key) == "chat-1"


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(None, id="none"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe", id="no UTF-8"),
        pytest.param((7).to_bytes(8, "big"), id="a long"),
        pytest.param((7).to_bytes(4, "big"), id="an integer"),
        pytest.param(FRAME + b"\x0cchat-1", id="Avro's string"),
        pytest.param(FRAME + b"\0\n\x06chat-1", id="Protobuf"),
        pytest.param(b'{"id":"chat-1"}', id="an object without chat_id"),
        pytest.param(b'{"chat_id":7}', id="a number in an object"),
        pytest.param(b'""', id="an empty JSON string"),
        pytest.param(b"x" * 257, id="too long"),
        pytest.param(b'"' + b"x" * 20_000 + b'"', id="far too long"),
    ],
)
def test_another_form_names_no_chat(key: bytes | None) -> None:
    """An id that nobody has would say that the tombstone was heeded."""
    assert chat_of_key(key) is None


def test_an_id_that_only_begins_like_json_is_text() -> None:
    """A quote or a brace may stand in an id."""
    assert chat_of_key(b'"quoted" chat') == '"quoted" chat'
    assert chat_of_key(b"{a}") == "{a}"


@given(chat_id=st.text(min_size=1, max_size=256).filter(lambda text: text[0] >= " " and text[0] not in '"{'))
def test_an_id_is_found_again_as_text_and_as_json(chat_id: str) -> None:
    """Whatever upstream calls its chats."""
    for text in (chat_id, json.dumps(chat_id), json.dumps({"chat_id": chat_id}, ensure_ascii=False)):
        assert chat_of_key(text.encode()) == chat_id


@given(key=st.binary(max_size=300))
def test_any_bytes_name_a_chat_or_none(key: bytes) -> None:
    """Keys are not ours."""
    found = chat_of_key(key)
    assert found is None or 0 < len(found) <= 256
