"""Outcomes to messages: one each, in order, and never larger than the topic accepts."""

from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from schemas import ModelRef, PolicyRef, RejectionReason, Verdict, decode_verdict
from tests.worker.payloads import TOPICS, classification, event, record
from worker.outcome_encoding import OutgoingMessage, OutputTopics, next_offsets, to_messages
from worker.record import Judged, Outcome, Rejected
from worker.verdict_builder import VerdictBuilder

BUILDER = VerdictBuilder(
    ModelRef(name="m", version="1", digest=f"sha256:{'ab' * 32}"), PolicyRef(name="p", version="1")
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def verdict(offset: int) -> Verdict:
    """Return a verdict on the record at this offset."""
    return BUILDER.fresh(event(offset), classification(), NOW)


def rejected(offset: int, *, value: bytes | None = None, error: str = "found x; expected y") -> Rejected:
    """Return a rejection of the record at this offset."""
    return Rejected(record(offset, value=value), RejectionReason.SCHEMA_ERROR, error)


def size(message: OutgoingMessage) -> int:
    """Return the bytes of a message, headers included."""
    headers = sum(len(name) + len(value or b"") + 4 for name, value in message.headers)
    return len(message.key or b"") + len(message.value or b"") + headers


def test_every_outcome_becomes_one_message_in_order() -> None:
    """I1 and I3 rest on it."""
    outcomes: list[Outcome] = [Judged(record(1), verdict(1)), rejected(2), Judged(record(3), verdict(3))]
    messages, final = to_messages(outcomes, TOPICS)
    assert final == outcomes
    assert [message.topic for message in messages] == ["verdicts", "chat-events.dlq", "verdicts"]
    assert decode_verdict(messages[2].value or b"") == verdict(3)


def test_a_verdict_is_keyed_by_its_chat() -> None:
    """So that a chat's verdicts stay in one partition, in order."""
    (message,), _ = to_messages([Judged(record(1), verdict(1))], TOPICS)
    assert message.key == b"chat-1"


def test_a_dead_letter_holds_the_raw_bytes_and_says_where_it_came_from() -> None:
    """It can be read again after a fix, and found again in the input."""
    outcome = rejected(5, value=b"\xff\x00raw")
    (message,), _ = to_messages([outcome], TOPICS)
    assert (message.key, message.value) == (b"key", b"\xff\x00raw")
    assert dict(message.headers) == {
        "reason": b"schema_error",
        "error": b"found x; expected y",
        "origin_topic": b"chat-events",
        "origin_partition": b"0",
        "origin_offset": b"5",
        "origin_timestamp_ms": b"1005",
    }


def test_a_verdict_that_its_topic_would_refuse_ends_as_a_dead_letter() -> None:
    """F21: the broker would refuse it for ever, and the worker would abort the same batch for ever."""
    topics = OutputTopics("verdicts", "chat-events.dlq", verdict_max_bytes=5_100, dead_letter_max_bytes=1_000_000)
    judged = Judged(record(1), verdict(1))
    (message,), (final,) = to_messages([judged], topics)
    assert message.topic == "chat-events.dlq"
    assert message.value == judged.record.value
    assert isinstance(final, Rejected)
    assert final.reason is RejectionReason.VERDICT_TOO_LARGE


def test_a_dead_letter_that_is_too_large_is_cut_and_says_so() -> None:
    """Better the head of a record in the dead-letter topic than a worker that cannot go on."""
    topics = OutputTopics("verdicts", "chat-events.dlq", verdict_max_bytes=10_000, dead_letter_max_bytes=10_000)
    (message,), _ = to_messages([rejected(1, value=b"x" * 50_000)], topics)
    assert size(message) <= 10_000
    assert set(message.value or b"") == {ord("x")}
    assert dict(message.headers)["truncated_from_bytes"] == b"50000"


@example(n_bytes=20_000, error="\U0001f600" * 1_000, limit=6_000)
@given(n_bytes=st.integers(0, 20_000), error=st.text(max_size=3_000), limit=st.integers(6_000, 15_000))
def test_no_dead_letter_is_larger_than_its_topic_accepts(n_bytes: int, error: str, limit: int) -> None:
    """Whatever the error text is made of: its characters take up to four bytes each."""
    topics = OutputTopics("verdicts", "chat-events.dlq", verdict_max_bytes=limit, dead_letter_max_bytes=limit)
    (message,), _ = to_messages([rejected(1, value=b"x" * n_bytes, error=error)], topics)
    assert size(message) <= limit


def test_the_group_commits_the_offset_after_the_last_record_of_each_partition() -> None:
    """One too few repeats a record, one too many loses one."""
    records = [record(4), record(9, partition=1), record(5), record(3, partition=2)]
    assert next_offsets(records) == {("chat-events", 0): 6, ("chat-events", 1): 10, ("chat-events", 2): 4}


def test_no_records_commit_nothing() -> None:
    """An empty batch has no offsets."""
    assert next_offsets([]) == {}
