"""Outcomes to messages: one each, in order, and never larger than the topic accepts."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas import RejectionReason, Verdict, decode_verdict
from tests.worker.payloads import TOPICS, builder, classification, event, record
from worker.cache.entries import cache_entries
from worker.errors import Fatal
from worker.outcome_encoding import OutgoingMessage, OutputTopics, next_offsets, settle, to_messages
from worker.record import Rejection, Row

BUILDER = builder()
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def verdict(offset: int) -> Verdict:
    """Return a verdict on the record at this offset."""
    return BUILDER.fresh(event(offset), classification(), NOW)


REJECTION = Rejection(RejectionReason.SCHEMA_ERROR, "found x; expected y")
SMALL = OutputTopics("verdicts", "chat-events.dlq", verdict_max_bytes=5_100, dead_letter_max_bytes=1_000_000)
"""Topics that take no verdict."""


def judged(offset: int) -> Row:
    """Return the row of a record that got its verdict."""
    return Row(record(offset), verdict=verdict(offset))


def rejected(offset: int, *, value: bytes | None = None, error: str = REJECTION.error) -> Row:
    """Return the row of a record that was rejected."""
    return Row(record(offset, value=value), rejection=Rejection(REJECTION.reason, error))


def settled(rows: Sequence[Row], topics: OutputTopics = TOPICS) -> list[OutgoingMessage]:
    """Settle rows and return their messages."""
    settle(rows, topics)
    return to_messages(rows, topics)


def size(message: OutgoingMessage) -> int:
    """Return the bytes of a message, headers included."""
    headers = sum(len(name) + len(value or b"") + 4 for name, value in message.headers)
    return len(message.key or b"") + len(message.value or b"") + headers


def test_every_outcome_becomes_one_message_in_order() -> None:
    """I1 and I3 rest on it."""
    rows = [judged(1), rejected(2), judged(3)]
    messages = settled(rows)
    assert [(row.verdict, row.rejection) for row in rows] == [
        (verdict(1), None), (None, REJECTION), (verdict(3), None)
    ]  # fmt: skip
    assert [message.place for message in messages] == [row.record.place for row in rows]
    assert [message.topic for message in messages] == ["verdicts", "chat-events.dlq", "verdicts"]
    assert decode_verdict(messages[2].value or b"") == messages[2].verdict == verdict(3)
    assert messages[1].verdict is None


def test_a_verdict_is_keyed_by_its_chat() -> None:
    """So that a chat's verdicts stay in one partition, in order."""
    (message,) = settled([judged(1)])
    assert message.key == b"chat-1"


def test_a_dead_letter_holds_the_raw_bytes_and_says_where_it_came_from() -> None:
    """It can be read again after a fix, and found again in the input."""
    (message,) = settled([rejected(5, value=b"\xff\x00raw")])
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
    row = judged(1)
    (message,) = settled([row], SMALL)
    assert message.topic == "chat-events.dlq"
    assert message.value == row.record.value
    assert (row.verdict, row.encoded) == (None, None)
    assert row.rejection is not None
    assert row.rejection.reason is RejectionReason.VERDICT_TOO_LARGE


def test_what_was_settled_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages and cache entries are read off the rows: after `settle` nothing is encoded or decided any more."""
    rows = [judged(1), judged(2), rejected(3)]
    settle(rows[:1], SMALL)
    settle(rows[1:], TOPICS)
    before = [(row.verdict, row.rejection, row.encoded) for row in rows]

    def refuse(*_: Any) -> bytes:
        raise AssertionError("encoded again")

    monkeypatch.setattr("worker.outcome_encoding.encode_verdict", refuse)
    messages, entries = to_messages(rows, TOPICS), list(cache_entries(rows))
    assert [(row.verdict, row.rejection, row.encoded) for row in rows] == before
    reasons = [dict(message.headers).get("reason") for message in messages]
    assert reasons == [b"verdict_too_large", None, b"schema_error"]
    assert [entry.rejected for entry in entries] == ["verdict_too_large", None, "schema_error"]
    assert entries[1].value is messages[1].value


@pytest.mark.parametrize(
    ("row", "said"),
    [
        pytest.param(Row(record(7)), "has no outcomes; expected exactly one", id="none"),
        pytest.param(Row(record(7), verdict=verdict(7), rejection=REJECTION), "has two outcomes; expected", id="two"),
    ],
)
def test_a_row_without_exactly_one_outcome_is_never_committed(row: Row, said: str) -> None:
    """I1: it is a bug of a step before; to go on would lose the record, or answer it twice."""
    with pytest.raises(Fatal) as caught:
        settle([judged(1), row], TOPICS)
    assert str(caught.value).startswith(f"chat-events[0]@7 {said}")
    assert str(caught.value).endswith("this is a bug, and nothing of the batch is committed")


def test_a_dead_letter_that_is_too_large_is_cut_and_says_so() -> None:
    """Better the head of a record in the dead-letter topic than a worker that cannot go on."""
    topics = OutputTopics("verdicts", "chat-events.dlq", verdict_max_bytes=10_000, dead_letter_max_bytes=10_000)
    (message,) = settled([rejected(1, value=b"x" * 50_000)], topics)
    assert size(message) <= 10_000
    assert set(message.value or b"") == {ord("x")}
    assert dict(message.headers)["truncated_from_bytes"] == b"50000"


@example(n_bytes=20_000, error="\U0001f600" * 1_000, limit=6_000)
@given(n_bytes=st.integers(0, 20_000), error=st.text(max_size=3_000), limit=st.integers(6_000, 15_000))
def test_no_dead_letter_is_larger_than_its_topic_accepts(n_bytes: int, error: str, limit: int) -> None:
    """Whatever the error text is made of: its characters take up to four bytes each."""
    topics = OutputTopics("verdicts", "chat-events.dlq", verdict_max_bytes=limit, dead_letter_max_bytes=limit)
    (message,) = settled([rejected(1, value=b"x" * n_bytes, error=error)], topics)
    assert size(message) <= limit


def test_the_group_commits_the_offset_after_the_last_record_of_each_partition() -> None:
    """One too few repeats a record, one too many loses one."""
    records = [record(4), record(9, partition=1), record(5), record(3, partition=2)]
    assert next_offsets(records) == {("chat-events", 0): 6, ("chat-events", 1): 10, ("chat-events", 2): 4}


def test_no_records_commit_nothing() -> None:
    """An empty batch has no offsets."""
    assert next_offsets([]) == {}
