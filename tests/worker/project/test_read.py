"""What `worker project` makes of records of the output topics, whoever wrote them."""

from pathlib import Path
from typing import Any, cast

import pytest
from confluent_kafka import Message

from schemas import CodecLimits, decode_verdict
from tests.worker.kafka.test_forwarded_headers import UnreadableMessage
from worker.cache.outcome_order import Versions
from worker.kafka.topic_scan import ScannedRecord
from worker.project.read import UnreadableOutcome, outcome_of_dead_letter, outcome_of_verdict

GOLDEN = Path(__file__).parents[2] / "schemas" / "golden"


class LetterOfAStranger(UnreadableMessage):
    """A record of the dead-letter topic that no worker wrote."""

    def topic(self) -> str:
        """Return where it lies."""
        return "d"

    def partition(self) -> int:
        """Return where it lies."""
        return 0

    def offset(self) -> int:
        """Return where it lies."""
        return 0

    def timestamp(self) -> tuple[int, int]:
        """Return its time, of no kind."""
        return 0, -1

    def key(self) -> bytes:
        """Return the chat."""
        return b"chat-1"

    def value(self) -> bytes:
        """Return no event."""
        return b"?"


@pytest.mark.parametrize(
    "letter",
    [
        pytest.param(Message(topic="d", partition=0, offset=0, key=b"chat-1", value=b"?"), id="without headers"),
        pytest.param(cast("Any", LetterOfAStranger()), id="a header's name is not UTF-8"),
    ],
)
def test_a_dead_letter_that_no_worker_wrote_spoils_its_chat_and_ends_nothing(letter: Message) -> None:
    """One such record would end every run at the same place."""
    with pytest.raises(UnreadableOutcome) as unreadable:
        outcome_of_dead_letter(ScannedRecord(letter), CodecLimits())
    assert unreadable.value.chat_id == "chat-1"


@pytest.mark.parametrize("version", [1, 2])
def test_verdicts_of_both_versions_are_projected(version: int) -> None:
    """The topic holds verdicts of version 1 until its retention takes them; they go into Redis as they are."""
    raw = (GOLDEN / f"verdict.v{version}.json").read_bytes()
    verdict = decode_verdict(raw)
    record = ScannedRecord(Message(topic="verdicts", partition=0, offset=3, key=verdict.chat_id.encode(), value=raw))
    chat_id, outcome = outcome_of_verdict(record, CodecLimits())
    assert chat_id == verdict.chat_id
    assert (outcome.topic, outcome.offset) == (verdict.source.topic, verdict.source.offset)
    assert outcome.versions == Versions(
        verdict.model.name, verdict.model.version, verdict.policy.name, verdict.policy.version
    )
