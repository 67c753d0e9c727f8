"""What a record costs is told before it is parsed: never too little, and not too much for texts."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import CodecLimits, RejectionReason, decode_chat_event, estimated_decoded_bytes
from schemas.record_cost import n_values
from tests.schemas.payloads import LIMITS, event_bytes, raw_event, rejection

TEXTS = st.text(st.sampled_from('a",[{\\:é'), max_size=6)
VALUES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def n_values_in(value: Any) -> int:
    """Count the values of a document, itself included."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(n_values_in, children))


def n_openings_in(value: Any) -> int:
    """Count what opens a value in a document: one more than its commas and opening brackets."""
    children = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if children is None else 1 + max(0, len(children) - 1) + sum(map(n_openings_in, children))


@given(value=VALUES, enough=st.integers(0, 20), ascii_only=st.booleans())
def test_a_document_passes_exactly_where_it_has_no_more_values(value: Any, enough: int, ascii_only: bool) -> None:
    """Commas, brackets and quotes inside texts count for nothing, however they are escaped."""
    raw = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":")).encode()
    passes = n_values(raw, enough=enough) <= enough
    assert passes == (1 + n_openings_in(value) <= enough)
    if passes:
        assert n_values_in(value) <= enough


def test_a_text_of_nothing_but_commas_is_one_value() -> None:
    """A chat about a table of numbers is no attack."""
    for text in ("1," * 900_000, '[{","}]' * 100_000, "\\," * 300_000):
        decode_chat_event(event_bytes(messages=[{"role": "user", "content": text}]), LIMITS)


@pytest.mark.parametrize(
    "item", [b"[[[]]]", b"{}", b'{"":{}}', b'{"a":"b"}', b'""', b"1", b"[" * 190 + b"]" * 190, b'",","'], ids=repr
)
def test_a_record_of_too_many_values_is_too_large_before_it_is_parsed(item: bytes) -> None:
    """1.8 MB of empty lists are 50 MB of Python, and half a second."""
    context = b"[" + b",".join([item] * (1_900_000 // (len(item) + 1))) + b"]"
    rejected = rejection(raw_event(b'"context":' + context))
    assert rejected.reason is RejectionReason.TOO_LARGE
    assert "MODERATION_CODEC__MAX_EVENT_VALUES" in rejected.error


def test_as_many_values_as_allowed_are_read() -> None:
    """The limit is inclusive."""
    raw = raw_event(b'"context":[' + b",".join([b"1"] * 95) + b"]")
    decode_chat_event(raw, CodecLimits(max_event_values=102))
    assert rejection(raw, CodecLimits(max_event_values=101)).reason is RejectionReason.TOO_LARGE


def test_one_message_over_the_limit_is_too_large_and_the_chat_is_named() -> None:
    """The limit is inclusive, and whoever keeps a verdict of that chat learns that it does not hold any more."""
    raw = event_bytes(messages=[{"role": "user", "content": "a"}] * 4)
    decode_chat_event(raw, CodecLimits(max_messages=4))
    rejected = rejection(raw, CodecLimits(max_messages=3))
    assert rejected.reason is RejectionReason.TOO_LARGE
    assert "MODERATION_CODEC__MAX_MESSAGES" in rejected.error
    assert rejected.chat_id == "chat-1"


def test_an_estimate_grows_with_values_and_bytes() -> None:
    """A batch is closed by it: records of many values are heavier than long texts."""
    assert estimated_decoded_bytes(None) == 0
    text, values = b'"' + b"a" * 100_000 + b'"', b"[" + b"1," * 50_000 + b"1]"
    assert len(text) <= estimated_decoded_bytes(text) < estimated_decoded_bytes(values)
