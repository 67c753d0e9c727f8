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
@pytest.mark.parametrize("event_id", [{"x": 1}, ["e1"]])
def test_an_event_id_that_is_none_is_refused(named: dict[str, Any], event_id: object) -> None:
    """Under the event's own rules; a text without a name is not given one in the refusal."""
    with pytest.raises(RecordRejected) as refused:
        read_asked({"text": "hello", "event_id": event_id, **named}, LIMITS)
    assert (refused.value.reason, refused.value.chat_id) == (RejectionReason.SCHEMA_ERROR, named.get("chat_id"))
    assert "event_id" in refused.value.error


@pytest.mark.parametrize("value", [" ", {"text": " "}, {"text": " ", "chat_id": None}], ids=str)
def test_a_refused_text_without_a_name_has_none(value: object) -> None:
    """The beginning of a made name says nothing."""
    with pytest.raises(RecordRejected) as refused:
        read_asked(value, LIMITS)
    assert (refused.value.reason, refused.value.chat_id) == (RejectionReason.EMPTY_CONVERSATION, None)
