"""What `worker show` tells a person."""

import io

import pytest
from rich.console import Console

from schemas import RejectionMarker, Source
from tests.schemas.payloads import make_verdict
from worker.cache.show import print_verdict, rejection_text


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


def test_an_id_is_whole_in_a_narrow_window() -> None:
    """It is copied from there and searched for on the topic."""
    verdict = make_verdict().model_copy(update={"verdict_id": f"sha256:{'0123456789abcdef' * 4}"})
    screen = io.StringIO()
    print_verdict(verdict, Console(width=80, file=screen))
    shown = "".join(line.split("│")[2].strip() for line in screen.getvalue().splitlines() if line.count("│") > 2)
    assert verdict.verdict_id in shown
