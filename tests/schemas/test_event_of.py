"""An event inside a larger document is held to the rules of a record."""

import pytest

from schemas import CodecLimits, RecordRejected, RejectionReason, event_of
from tests.bad_inputs import chat


def test_a_good_event_is_read() -> None:
    """The same event as from its bytes."""
    assert event_of(chat("hello"), CodecLimits()).messages[0].content == "hello"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (chat(schema_version=2), RejectionReason.SCHEMA_ERROR),
        (chat(messages=chat()["messages"] * 3), RejectionReason.TOO_LARGE),
        (chat(messages="hello"), RejectionReason.SCHEMA_ERROR),
    ],
)
def test_what_a_record_is_refused_for_is_refused(document: dict[str, object], reason: RejectionReason) -> None:
    """The chat is named where it can be read, as in a dead letter."""
    with pytest.raises(RecordRejected) as refused:
        event_of(document, CodecLimits(max_messages=2))
    assert (refused.value.reason, refused.value.chat_id) == (reason, "bad-chat")
