"""What one conversation of a request asks."""

from typing import Any

import pytest

from console.judging.asked import read_asked
from console.judging.own_names import with_own_names
from console.settings.source import setting_names
from schemas import CodecLimits, RecordRejected, RejectionReason

LIMITS = CodecLimits()


@pytest.mark.parametrize("named", [{}, {"chat_id": None}, {"chat_id": "c-1"}], ids=str)
@pytest.mark.parametrize("event_id", ["e1", 7, None])
def test_the_event_id_of_a_text_is_carried(named: dict[str, Any], event_id: str | int | None) -> None:
    """Whether the chat has a name or not."""
    asked = read_asked({"text": "hello", "event_id": event_id, **named}, LIMITS)
    assert asked.event_id == event_id
    assert asked.chat_id == (named.get("chat_id") or f"text-{asked.fingerprint}")


@pytest.mark.parametrize("named", [{}, {"chat_id": None}, {"chat_id": "c-1"}], ids=str)
@pytest.mark.parametrize(("event_id", "carried"), [({"x": 1}, None), (["e1"], None), (1.5, "1.5")])
def test_an_event_id_of_another_type_costs_no_answer(
    named: dict[str, Any], event_id: object, carried: str | None
) -> None:
    """Under the event's own rules: nobody judges by it, and the answer shows what became of it."""
    assert read_asked({"text": "hello", "event_id": event_id, **named}, LIMITS).event_id == carried


@pytest.mark.parametrize("chat_id", ["", "x" * 257, 7])
def test_a_name_that_is_none_is_refused_without_it(chat_id: object) -> None:
    """Under the event's own rules."""
    with pytest.raises(RecordRejected) as refused:
        read_asked({"text": "hello", "chat_id": chat_id}, LIMITS)
    assert (refused.value.reason, refused.value.chat_id) == (RejectionReason.SCHEMA_ERROR, None)
    assert "chat_id" in refused.value.error


@pytest.mark.parametrize("value", [" ", {"text": " "}, {"text": " ", "chat_id": None}], ids=str)
def test_a_refused_text_without_a_name_has_none(value: object) -> None:
    """The beginning of a made name says nothing."""
    with pytest.raises(RecordRejected) as refused:
        read_asked(value, LIMITS)
    assert (refused.value.reason, refused.value.chat_id) == (RejectionReason.EMPTY_CONVERSATION, None)


@pytest.mark.parametrize("value", [{}, {"txet": "hello"}, {"txet": "hello", "chat_id": "c-1"}], ids=str)
def test_who_misspells_text_is_told_how_a_text_is_sent(value: object) -> None:
    """And not only which fields an event has."""
    with pytest.raises(RecordRejected, match=r".") as refused:
        read_asked(value, LIMITS)
    assert '{"text": ' in refused.value.error


@pytest.mark.parametrize("value", [{"messages": "x"}, {"op": "c", "after": {}}], ids=str)
def test_who_sends_an_event_or_an_envelope_is_not(value: object) -> None:
    """It has a remedy of its own."""
    with pytest.raises(RecordRejected, match=r".") as refused:
        read_asked(value, LIMITS)
    assert '{"text": ' not in refused.value.error


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        ({"chat_id": "c", "messages": [{"role": "user", "content": "a"}] * 3}, "CONSOLE_CODEC__MAX_MESSAGES"),
        ({"op": "c", "after": {"chat_id": "c"}}, "Debezium's envelope: send the event inside of it"),
        ({"specversion": "1.0", "data": {}}, "a CloudEvent: send the event inside of it"),
        ({"schema": {}, "payload": {}}, "Kafka Connect's envelope: send the event inside of it"),
    ],
    ids=["messages", "debezium", "cloudevents", "connect"],
)
def test_a_remedy_is_one_that_the_console_has(value: object, remedy: str) -> None:
    """The worker's settings are not read here."""
    with pytest.raises(RecordRejected, match=r".") as refused:
        read_asked(value, CodecLimits(max_messages=2))
    assert remedy in refused.value.error
    assert "MODERATION_" not in refused.value.error


def test_what_a_slow_model_is_told_names_a_setting_of_the_console() -> None:
    """Under the console's prefix there must be such a setting."""
    found = with_own_names("raise MODERATION_MODEL__TIMEOUT_S")
    assert found.split()[-1] in set(setting_names())
