"""What `worker show` says of a chat without a verdict."""

import pytest

from schemas import RejectionMarker, Source
from worker.cache.show import rejection_text


@pytest.mark.parametrize(
    ("rejected", "said"),
    [("schema_error", "was rejected (schema_error)"), ("tombstone", "erased it"), ("owed", "worker project")],
)
def test_a_marker_says_why_there_is_no_verdict(rejected: str, said: str) -> None:
    """A debt is no rejection: the verdict is on the topic, and a command writes it."""
    source = Source(topic="chat-events", partition=3, offset=17, timestamp_ms=1)
    text = rejection_text(RejectionMarker(chat_id="chat", source=source, rejected=rejected))
    assert "chat-events[3]@17" in text
    assert said in text
    assert ("was rejected" in text) == (rejected == "schema_error")
