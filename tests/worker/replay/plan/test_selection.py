"""Which records of a range are taken."""

from typing import Any

from schemas import DeadLetter, RejectionReason, ValueFormat
from tests.worker.payloads import record
from worker.replay.plan.selection import Selection, with_origin


def letter(**fields: Any) -> DeadLetter:
    """Return the headers of a dead letter."""
    complete = {
        "reason": RejectionReason.TOO_LARGE,
        "error": "x",
        "origin_topic": "chat-events",
        "origin_partition": 2,
        "origin_offset": 77,
        "origin_timestamp_ms": 5,
    }
    return DeadLetter.model_validate(complete | fields)


def test_only_what_is_asked_for_is_taken() -> None:
    """By the record's own clock, by chat, by reason; a chat is known by the key, else by the value."""
    one = record(5)
    assert Selection(since_ms=1_005, until_ms=1_006).takes(one)
    assert not Selection(since_ms=1_006).takes(one)
    assert not Selection(until_ms=1_005).takes(one)
    assert Selection(chats=frozenset({"key"})).takes(one)
    assert not Selection(chats=frozenset({"chat-5"})).takes(one)
    assert Selection(chats=frozenset({"chat-5"})).takes(one._replace(key=None))
    assert not Selection(chats=frozenset({"chat-5"})).takes(one._replace(key=None, value=b"{"))
    assert Selection(chats=frozenset({"chat-5"})).takes(one._replace(key=b"\xff\x00"))
    assert Selection(chats=frozenset({"key"})).takes(one._replace(key=b'"key"'))
    only = Selection(reasons=frozenset({RejectionReason.TOO_LARGE}))
    assert only.takes(one, letter())
    assert not only.takes(one, letter(reason=RejectionReason.SCHEMA_ERROR))
    assert not only.takes(one, None)


def test_a_dead_letter_answers_for_the_record_it_was_and_is_counted_where_it_was_read() -> None:
    """The compare-and-set of the cache goes by the origin, the committed offset by the dead-letter topic."""
    redriven = with_origin(record(5), letter(truncated_from_bytes=9))
    assert redriven.place == ("chat-events", 0, 5)
    source = redriven.source
    assert (source.topic, source.partition, source.offset, source.timestamp_ms) == ("chat-events", 2, 77, 5)
    assert with_origin(record(5), None) == record(5)


def test_the_chats_asked_for_that_no_record_is_of_are_known_at_the_end() -> None:
    """An id that was cut wrongly from a file selects nothing, and nobody would hear of it."""
    selection = Selection(until_ms=1_006, chats=frozenset({"chat-5", "chat-6", "\ufeffchat-5", '"chat-5","x"'}))
    for offset in (5, 6):
        selection.takes(record(offset)._replace(key=f"chat-{offset}".encode()))
    assert selection.not_met() == ['"chat-5","x"', "chat-6", "\ufeffchat-5"]
    assert selection.looked_at.n_records == 2


def test_an_envelope_tells_the_chat_of_a_record_without_a_key() -> None:
    """Replays select by what the live worker reads."""
    value = b'{"specversion":"1.0","data":{"chat_id":"c","query":"hi"}}'
    one = record(5, value=value)._replace(key=None)
    assert Selection(chats=frozenset({"c"}), value_format=ValueFormat.CLOUDEVENTS).takes(one)
    assert not Selection(chats=frozenset({"c"})).takes(one)
