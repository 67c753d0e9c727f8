"""Bytes that are no JSON object in UTF-8 are dead-lettered with `decode_error` or `too_large`."""

import pytest

from schemas import CodecLimits, RejectionReason, decode_chat_event
from tests.schemas.payloads import CANARY, LIMITS, event_bytes, raw_event, rejection


def test_a_record_without_a_value_is_a_decode_error() -> None:
    """A tombstone holds nothing to judge, and must not stop the worker either."""
    assert rejection(None).reason is RejectionReason.DECODE_ERROR


def test_a_record_of_no_bytes_is_a_decode_error() -> None:
    """Empty is not the same as a tombstone to Kafka; both end in the dead-letter topic."""
    assert rejection(b"").reason is RejectionReason.DECODE_ERROR


@pytest.mark.parametrize("raw", [b"\xff\xfe\x00", event_bytes().replace(b"CANARY", b"CAN\xffRY")])
def test_invalid_utf8_is_a_decode_error(raw: bytes) -> None:
    """A replacement character would change what is judged."""
    assert rejection(raw).reason is RejectionReason.DECODE_ERROR


def test_every_truncation_of_an_event_is_a_decode_error() -> None:
    """A cut at any byte, in the middle of a character too, must not read as a shorter chat."""
    raw = event_bytes(query="é😀")
    for length in range(len(raw)):
        assert rejection(raw[:length]).reason is RejectionReason.DECODE_ERROR


def test_a_byte_order_mark_is_a_decode_error() -> None:
    """RFC 8259 forbids it; a parser that skips it would hide a broken producer."""
    assert rejection(b"\xef\xbb\xbf" + event_bytes()).reason is RejectionReason.DECODE_ERROR


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"messages":['])
def test_100_000_nested_brackets_are_a_decode_error(opening: bytes) -> None:
    """No RecursionError and no stack overflow: one hostile record must not end the process."""
    rejected = rejection(opening * 100_000)
    assert rejected.reason is RejectionReason.DECODE_ERROR
    assert "recursion" in rejected.error


def test_nesting_inside_an_ignored_field_is_a_decode_error() -> None:
    """A field that nobody reads is parsed all the same."""
    raw = raw_event(b'"context":' + b"[" * 100_000 + b"]" * 100_000)
    assert rejection(raw).reason is RejectionReason.DECODE_ERROR


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_a_number_that_json_does_not_have_is_a_decode_error(number: bytes) -> None:
    """Python's own parser accepts these three; ours must not."""
    assert rejection(raw_event(b'"occurred_at":' + number)).reason is RejectionReason.DECODE_ERROR


@pytest.mark.parametrize("field", [b"event_id", b"schema_version", b"context", b"occurred_at"])
def test_a_number_of_5_000_digits_is_a_decode_error(field: bytes) -> None:
    """Python refuses such a number with a ValueError of its own, at the parse or at str()."""
    rejected = rejection(raw_event(b'"' + field + b'":' + b"9" * 5_000))
    assert rejected.reason is RejectionReason.DECODE_ERROR


def test_a_duplicate_key_at_the_top_is_a_decode_error() -> None:
    """Readers disagree on which value counts, so one text could be shown and another judged.

    The key itself is input text and stays out of the error.
    """
    key = CANARY.encode()
    rejected = rejection(raw_event(b'"' + key + b'":1,"' + key + b'":2'))
    assert rejected.reason is RejectionReason.DECODE_ERROR
    assert "duplicate key" in rejected.error


def test_a_duplicate_key_in_a_message_is_a_decode_error() -> None:
    """The same trick one level down: `content` twice."""
    raw = b'{"chat_id":"c","messages":[{"role":"user","content":"a","content":"b"}]}'
    assert "duplicate key" in rejection(raw).error


def test_a_duplicate_key_written_with_an_escape_is_a_decode_error() -> None:
    """Keys are compared after unescaping: a `q` may be written as an escape."""
    assert "duplicate key" in rejection(raw_event(b'"query":"a","\\u0071uery":"b"')).error


@pytest.mark.parametrize(
    "text",
    [rb"\ud800", rb"\udc00", rb"\ud83d x", rb"\ud800\ud800", b"\xed\xa0\x80", b"\xed\xbf\xbf"],
)
def test_a_lone_surrogate_escaped_or_raw_is_a_decode_error(text: bytes) -> None:
    """A tokenizer answers it with a TypeError that would cost the whole batch."""
    raw = event_bytes().replace(CANARY.encode(), text)
    assert rejection(raw).reason is RejectionReason.DECODE_ERROR


def test_a_surrogate_pair_is_one_character() -> None:
    """The guard against lone surrogates must not refuse an escaped emoji."""
    raw = event_bytes().replace(CANARY.encode(), rb"\ud83d\ude00")
    assert decode_chat_event(raw, LIMITS).messages[0].content == "😀"


@pytest.mark.parametrize(
    ("raw", "found"),
    [(b"[]", "list"), (b'"CANARY-7f3a"', "str"), (b"12", "int"), (b"null", "NoneType")],
)
def test_a_value_that_is_no_object_is_a_decode_error(raw: bytes, found: str) -> None:
    """The error names what was found instead."""
    rejected = rejection(raw)
    assert rejected.reason is RejectionReason.DECODE_ERROR
    assert found in rejected.error


def test_text_after_the_object_is_a_decode_error() -> None:
    """Two objects in one record: there is no rule which of them counts."""
    assert rejection(event_bytes() + event_bytes()).reason is RejectionReason.DECODE_ERROR


def test_one_byte_over_the_limit_is_too_large() -> None:
    """The limit is inclusive, and the error tells both numbers and the setting."""
    raw = event_bytes()
    decode_chat_event(raw, CodecLimits(max_event_bytes=len(raw)))
    rejected = rejection(raw, CodecLimits(max_event_bytes=len(raw) - 1))
    assert rejected.reason is RejectionReason.TOO_LARGE
    assert str(len(raw)) in rejected.error
    assert "MODERATION_CODEC__MAX_EVENT_BYTES" in rejected.error


def test_a_message_of_10_mb_is_too_large() -> None:
    """It is refused by its length, before any of it is parsed."""
    assert rejection(event_bytes(query="a" * 10_000_000)).reason is RejectionReason.TOO_LARGE
