"""What one conversation of a request asks."""

from typing import Any

import pytest

from console.judging.asked import read_asked
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
