"""What looks odd and is a chat event all the same."""

import pytest

from schemas import Role, Turn, conversation_turns, decode_chat_event
from tests.schemas.payloads import CANARY, LIMITS, event_bytes, raw_event


def test_a_single_word_of_1_mb_is_accepted() -> None:
    """The window cuts it before it is tokenised; the codec need not refuse it."""
    event = decode_chat_event(event_bytes(query="a" * 1_000_000), LIMITS)
    assert event.query is not None
    assert len(event.query) == 1_000_000


def test_10_000_messages_are_accepted_in_their_order() -> None:
    """A long conversation is no fault; the window takes its end."""
    messages = [{"role": "user", "content": str(n)} for n in range(10_000)]
    turns = conversation_turns(decode_chat_event(event_bytes(messages=messages), LIMITS))
    assert [turn.text for turn in turns] == [str(n) for n in range(10_000)]


def test_the_longest_chat_id_is_accepted_by_characters_not_bytes() -> None:
    """The contract counts characters; an id in another script is not shorter."""
    assert decode_chat_event(event_bytes(chat_id="😀" * 256), LIMITS).chat_id == "😀" * 256


@pytest.mark.parametrize("version", [1, "1", "1.4", "1.10", "v1", "v1.4", None, 1.0])
def test_every_way_to_write_major_version_1_is_accepted(version: object) -> None:
    """A minor version only adds fields, and unknown fields are ignored."""
    decode_chat_event(event_bytes(schema_version=version), LIMITS)


@pytest.mark.parametrize(
    "clock",
    [
        None,
        0,
        -1,
        -62_135_596_800_000,
        10**18,
        10**30,
        "2026-01-02T03:04:05Z",
        "9999-99-99T99:99:99",
        "yesterday",
        "",
        "\u0000",
    ],
)
def test_no_clock_of_upstream_changes_what_is_judged(clock: int | str | None) -> None:
    """Far future, negative or senseless: clocks are carried, never interpreted."""
    message = {"role": "user", "content": CANARY, "createdAt": clock}
    raw = (
        event_bytes(messages=[message], occurred_at=clock)
        if clock != 10**30
        else event_bytes(messages=[{**message, "createdAt": 0}], occurred_at=0).replace(b'":0', b'":%d' % clock)
    )
    event = decode_chat_event(raw, LIMITS)
    assert event.messages[0].created_at == clock
    assert conversation_turns(event) == [Turn(Role.USER, CANARY)]


def test_a_number_past_the_range_of_a_float_is_accepted_in_a_clock() -> None:
    """Well-formed JSON in a field that nobody interprets."""
    decode_chat_event(raw_event(b'"occurred_at":1e400'), LIMITS)


@pytest.mark.parametrize("message_id", [1, "m-1", None, -(10**17)])
def test_a_message_id_may_be_a_number_a_text_or_missing(message_id: int | str | None) -> None:
    """The contract allows all three, mixed in one conversation."""
    messages = [
        {"id": message_id, "role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]
    event = decode_chat_event(event_bytes(messages=messages), LIMITS)
    assert [message.id for message in event.messages] == [message_id, None]


def test_unknown_fields_are_ignored_at_every_level() -> None:
    """Upstream adds fields before we know them."""
    message = {"role": "user", "content": "hi", "tokens": {"deep": [1, None]}}
    event = decode_chat_event(event_bytes(messages=[message], region="eu", tenant={"id": 7}), LIMITS)
    assert not hasattr(event, "region")


def test_a_null_character_in_a_text_is_accepted() -> None:
    """JSON allows it escaped, and nothing behind the codec ends at it."""
    event = decode_chat_event(event_bytes(query="a\u0000b", messages=[]), LIMITS)
    assert conversation_turns(event) == [Turn(Role.USER, "a\u0000b")]
