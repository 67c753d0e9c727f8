"""A tombstone upstream puts its chat on the list of erased chats, and nothing else does."""

from datetime import UTC, datetime

import orjson

from schemas import CodecLimits, ValueFormat
from schemas.erasure import chat_hash, decode_erasure
from tests.worker.payloads import record, tombstone
from worker.decode import Decoder
from worker.erase.source import ErasureSource
from worker.record import Record

KEY = b"k" * 32
NOW = datetime(2026, 1, 2, tzinfo=UTC)
DELETED = orjson.dumps({"op": "d", "before": {"chat_id": "chat-9"}, "after": None})


def test_the_batch_lists_the_chats_that_are_to_be_forgotten() -> None:
    """In the tombstone's own transaction; a rejected event and a judged one list nothing."""
    source = ErasureSource("verdict-erasures", KEY, now=lambda: NOW)
    rows = Decoder(CodecLimits()).decode([record(1), tombstone(2), record(3, value=b"{"), tombstone(4)])
    messages = list(source.messages(rows))
    assert [message.place[2] for message in messages] == [2, 4]
    assert {(message.topic, message.key) for message in messages} == {
        ("verdict-erasures", chat_hash("chat-1", KEY).encode())
    }
    erasure = decode_erasure(messages[0].value or b"")
    # The record's own timestamp can be no time.
    assert (erasure.chat_hash, erasure.erased_at) == (chat_hash("chat-1", KEY), NOW)


def test_the_time_is_that_of_the_tombstone() -> None:
    """Read again after an abort, or by another worker, it is the same record."""
    late = Record("chat-events", 0, 5, 1_800_000_000_000, b'{"chat_id": "chat-1"}', None)
    (row,) = Decoder(CodecLimits()).decode([late])
    (message,) = ErasureSource("t", KEY).messages([row])
    assert decode_erasure(message.value or b"").erased_at.timestamp() == 1_800_000_000
    assert message.key == chat_hash("chat-1", KEY).encode()


def test_a_deleted_row_of_an_envelope_is_a_tombstone_and_a_keyless_one_lists_nobody() -> None:
    """Debezium deletes by a value; nobody can tell the chat of a tombstone without a key."""
    decoder = Decoder(CodecLimits(), value_format=ValueFormat.DEBEZIUM)
    rows = decoder.decode([record(1, value=DELETED), Record("chat-events", 0, 2, 0, None, None)])
    (message,) = ErasureSource("t", KEY).messages(rows)
    assert message.key == chat_hash("chat-9", KEY).encode()
