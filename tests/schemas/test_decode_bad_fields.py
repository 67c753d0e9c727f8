"""JSON objects that are no ChatEvent, or hold no visible text."""

import pytest

from schemas import RejectionReason
from tests.schemas.payloads import CANARY, event_bytes, raw_event, rejection

ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u202e\u00ad"


def test_a_missing_chat_id_is_a_schema_error() -> None:
    """Without it there is no key to publish under; an unknown field is no substitute."""
    rejected = rejection(b'{"chatId":"CANARY-7f3a","query":"CANARY-7f3a"}')
    assert rejected.reason is RejectionReason.SCHEMA_ERROR
    assert "chat_id: Field required, found nothing" in rejected.error


@pytest.mark.parametrize(
    ("chat_id", "expected"),
    [
        ("", "at least 1 character"),
        (CANARY * 1_000, "at most 256 characters"),
        (12, "valid string, found int"),
        (None, "valid string, found NoneType"),
        ([CANARY], "valid string, found list"),
    ],
)
def test_a_chat_id_out_of_contract_is_a_schema_error(chat_id: object, expected: str) -> None:
    """The error names the field and the rule: empty, 10 kB long, or not a string."""
    rejected = rejection(event_bytes(chat_id=chat_id))
    assert rejected.reason is RejectionReason.SCHEMA_ERROR
    assert "chat_id" in rejected.error
    assert expected in rejected.error


def test_an_unknown_role_is_a_schema_error() -> None:
    """Who said it changes what is judged, so a role is never guessed."""
    rejected = rejection(event_bytes(messages=[{"role": CANARY, "content": "hi"}]))
    assert rejected.reason is RejectionReason.SCHEMA_ERROR
    assert "messages.0.role: Input should be 'user', 'assistant', 'system'" in rejected.error


@pytest.mark.parametrize("version", [2, 0, "2", "2.0", "10", "11.1", "v2", 2.0, -1])
def test_an_unknown_major_version_is_a_schema_error_that_names_it(version: object) -> None:
    """A field may mean something else there; the operator sees which version arrived."""
    rejected = rejection(event_bytes(schema_version=version))
    assert rejected.reason is RejectionReason.SCHEMA_ERROR
    assert "expected major version 1" in rejected.error


@pytest.mark.parametrize("version", [CANARY, "", [CANARY], {CANARY: CANARY}, True, f"2.{CANARY}", f"{CANARY}.1"])
def test_a_version_that_is_none_is_a_schema_error_and_is_not_quoted(version: object) -> None:
    """Upstream may put chat text into any field; only what looks like a version is repeated."""
    assert rejection(event_bytes(schema_version=version)).reason is RejectionReason.SCHEMA_ERROR


def test_a_version_of_4_000_digits_is_a_schema_error() -> None:
    """Long, yet within what Python turns into text."""
    rejected = rejection(raw_event(b'"schema_version":' + b"9" * 4_000))
    assert rejected.reason is RejectionReason.SCHEMA_ERROR
    assert "9999" not in rejected.error


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"messages": CANARY}, "messages"),
        ({"messages": {CANARY: 1}}, "messages"),
        ({"messages": [CANARY]}, "messages.0"),
        ({"messages": [None]}, "messages.0"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"content": CANARY}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "tool_call": [CANARY]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": {CANARY: 1}}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [CANARY]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [None]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"text": CANARY}]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": [CANARY]}]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": {"value": CANARY}}]}]},
            "messages.0.content",
        ),
        ({"messages": [{"role": "assistant", "tool_calls": [], "content": 5}]}, "messages.0.content"),
        ({"query": [CANARY]}, "query"),
        ({"query": 5}, "query"),
        ({"formatted_chat": {CANARY: CANARY}}, "formatted_chat"),
    ],
)
def test_a_field_of_a_wrong_type_is_a_schema_error_that_names_the_field(fields: dict[str, object], place: str) -> None:
    """A guess about moderation input is worse than a dead letter."""
    rejected = rejection(event_bytes(**fields))
    assert rejected.reason is RejectionReason.SCHEMA_ERROR
    assert f"{place}" in rejected.error
    assert "found" in rejected.error


def test_one_wrong_message_among_good_ones_is_a_schema_error() -> None:
    """Judging the rest would judge another conversation than the one that is shown."""
    messages = [{"role": "user", "content": "hi"}] * 5 + [{"role": "user", "content": 5}]
    rejected = rejection(event_bytes(messages=messages))
    assert "messages.5.content" in rejected.error


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": []},
        {"messages": None},
        {"messages": [], "query": "", "formatted_chat": ""},
        {"messages": [], "query": None, "formatted_chat": None},
        {"messages": [{"role": "user", "content": ""}]},
        {"messages": [{"role": "user", "content": " \t\r\n\u00a0\u3000\u2028"}]},
        {"messages": [{"role": "user", "content": ZERO_WIDTH}], "query": ZERO_WIDTH},
        {"messages": [{"role": "user", "content": "\u0301" * 300_000}]},
        {"messages": [], "formatted_chat": ZERO_WIDTH, "query": "  "},
        {"messages": [], "context": CANARY},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [{"role": "user", "content": []}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": CANARY}}]}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": CANARY}}]}]},
    ],
)
def test_a_conversation_without_visible_text_is_an_empty_conversation(
    fields: dict[str, object],
) -> None:
    """Nothing to judge: an `allow` would be a guess. `context` is not part of the conversation."""
    assert rejection(event_bytes(**fields)).reason is RejectionReason.EMPTY_CONVERSATION


@pytest.mark.parametrize(
    "fields",
    [
        {"schema_version": 2},
        {"messages": [{"role": CANARY, "content": "hi"}]},
        {"query": 5},
        {"messages": []},
    ],
)
def test_a_rejection_names_the_chat_where_the_record_does(fields: dict[str, object]) -> None:
    """What was known of the chat before does not hold any more; whoever keeps it must learn which chat it is."""
    assert rejection(event_bytes(**fields)).chat_id == "chat-1"


@pytest.mark.parametrize("raw", [None, b"{", b"[]", event_bytes(chat_id=""), event_bytes(chat_id="x" * 257)])
def test_a_rejection_of_a_record_without_a_readable_chat_names_none(raw: bytes | None) -> None:
    """A guessed id would take another chat's verdict away."""
    assert rejection(raw).chat_id is None
