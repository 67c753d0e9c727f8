"""The roles and the contents that chats with tools and pictures have."""

from typing import Any

import pytest

from schemas import (
    RejectionReason,
    Role,
    Turn,
    content_fingerprint,
    conversation_turns,
    decode_chat_event,
    parts_left_out,
)
from tests.schemas.payloads import CANARY, LIMITS, event_bytes, rejection

TEXT = {"type": "text", "text": "look at this"}
PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


def turns_of(*messages: dict[str, Any]) -> list[Turn]:
    """Return what is judged of these messages."""
    return conversation_turns(decode_chat_event(event_bytes(messages=list(messages)), LIMITS))


def test_a_chat_with_a_tool_call_is_judged() -> None:
    """A chat that calls one tool would otherwise never be judged again: every later event holds the call."""
    assert turns_of(
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "How warm is it?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "21 C"},
        {"role": "function", "name": "weather", "content": "21 C"},
        {"role": "assistant", "content": "21 degrees."},
    ) == [
        Turn(Role.DEVELOPER, "Be brief."),
        Turn(Role.USER, "How warm is it?"),
        Turn(Role.TOOL, "21 C"),
        Turn(Role.FUNCTION, "21 C"),
        Turn(Role.ASSISTANT, "21 degrees."),
    ]


def test_a_message_that_only_calls_tools_needs_no_content() -> None:
    """The field is optional there in the API that the shape comes from."""
    assert turns_of({"role": "user", "content": "hi"}, {"role": "assistant", "tool_calls": [CALL]}) == [
        Turn(Role.USER, "hi")
    ]


@pytest.mark.parametrize("kind", ["text", "input_text", "output_text"])
def test_the_text_parts_of_a_content_are_one_text(kind: str) -> None:
    """What stands in one message is judged as one message."""
    parts = [{"type": kind, "text": "one"}, PICTURE, {"type": kind, "text": "two"}]
    assert turns_of({"role": "user", "content": parts}) == [Turn(Role.USER, "one\ntwo")]


def test_a_text_in_a_part_has_the_fingerprint_of_the_text() -> None:
    """A client that begins to send parts says nothing new."""
    one, other = ({"messages": [{"role": "user", "content": content}]} for content in ([TEXT], TEXT["text"]))
    first, second = (decode_chat_event(event_bytes(**fields), LIMITS) for fields in (one, other))
    assert content_fingerprint(first) == content_fingerprint(second)


def test_the_same_text_of_another_role_has_another_fingerprint() -> None:
    """Who said it changes what is judged."""
    events = [decode_chat_event(event_bytes(messages=[{"role": role, "content": "hi"}]), LIMITS) for role in Role]
    assert len({content_fingerprint(event) for event in events}) == len(Role)


def test_parts_that_are_no_text_are_left_out_and_counted() -> None:
    """An operator sees how much of the conversation nobody judges."""
    kinds = ["input_image", "image", "input_audio", "file", "video_url", "refusal", CANARY]
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": [TEXT, PICTURE, *({"type": kind} for kind in kinds)]},
        {"role": "user", "content": "text"},
        {"role": "assistant", "tool_calls": [CALL]},
    ]
    assert parts_left_out(messages) == {"image": 3, "audio": 1, "file": 1, "video": 1, "other": 2}
    assert turns_of(*messages)[0].text == TEXT["text"]


@pytest.mark.parametrize("messages", [None, "text", [1], [{"content": [1, None, {"type": [1]}]}], {"a": 1}])
def test_counting_what_is_left_out_takes_any_value(messages: object) -> None:
    """It runs over what was parsed."""
    assert not parts_left_out(messages)


@pytest.mark.parametrize(
    ("document", "advice"),
    [
        (b'{"conversations":[{"from":"human","value":"CANARY-7f3a"}]}', "send role and content"),
        (b'{"chat_id":"c","messages":[{"from":"human","value":"CANARY-7f3a"}]}', "send role and content"),
        (b'{"model":"m","messages":[{"role":"user","content":"CANARY-7f3a"}]}', "add the chat_id"),
    ],
)
def test_a_chat_in_another_programs_form_is_rejected_with_what_to_do(document: bytes, advice: str) -> None:
    """It has no chat_id, or roles of other names; guessing either would judge one chat under another's name."""
    rejected = rejection(document)
    assert rejected.reason is RejectionReason.SCHEMA_ERROR
    assert advice in rejected.error
    assert "training_pipeline extract" in rejected.error


def test_the_remedy_stands_only_where_it_helps() -> None:
    """An ordinary mistake is told by its field alone."""
    assert "extract" not in rejection(event_bytes(query=5)).error
