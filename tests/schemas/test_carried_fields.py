"""`event_id` and `occurred_at` travel through; no value of them that JSON can hold costs a chat its verdict."""

import json
from typing import Any

import pytest

from schemas import decode_chat_event
from tests.schemas.payloads import LIMITS, event_bytes, raw_event

SAFE = 2**53 - 1


def carried(name: str, raw_value: bytes) -> Any:
    """Return what becomes of one value."""
    return getattr(decode_chat_event(raw_event(b'"' + name.encode() + b'":' + raw_value), LIMITS), name)


@pytest.mark.parametrize("name", ["event_id", "occurred_at"])
@pytest.mark.parametrize(
    ("raw_value", "expected"),
    [
        (b"9007199254740991", SAFE),
        (b"-9007199254740991", -SAFE),
        (b"9007199254740992", "9007199254740992"),
        (b"-9007199254740992", "-9007199254740992"),
        (b"1" + b"0" * 30, "1" + "0" * 30),
        (b"9" * 4_000, "9" * 256),
        (b"1e30", "1e+30"),
        (b'"' + b"x" * 256 + b'"', "x" * 256),
        (b'"' + b"x" * 257 + b'"', "x" * 256),
        (('"' + "😀" * 300 + '"').encode(), "😀" * 256),
        (b"null", None),
        (b"7", 7),
    ],
)
def test_what_no_reader_could_hold_is_carried_as_text_and_cut(name: str, raw_value: bytes, expected: object) -> None:
    """10^30 breaks every reader downstream that holds numbers as doubles or as 64 bits."""
    assert carried(name, raw_value) == expected
    assert type(carried(name, raw_value)) is type(expected)


def test_a_clock_with_a_fraction_is_carried_as_it_is() -> None:
    """Seconds since the epoch, with milliseconds behind the point."""
    assert carried("occurred_at", b"1767322984.125") == 1767322984.125


def test_a_number_past_the_range_of_a_double_is_carried_as_text() -> None:
    """JSON has no infinity to write."""
    assert carried("occurred_at", b"1e400") == "inf"


def test_context_is_not_kept() -> None:
    """Nobody reads it, and of one record it may be 50 MB."""
    assert decode_chat_event(event_bytes(context={"a": [1, 2]}), LIMITS).context is None


@pytest.mark.parametrize(
    ("name", "raw_value", "expected"),
    [
        ("event_id", b"1735689600.482", "1735689600.482"),
        ("event_id", b"7.0", 7),
        ("event_id", b'["a"]', None),
        ("event_id", b'{"$oid":"a"}', None),
        ("occurred_at", b'{"$date":1}', None),
        ("occurred_at", b"[1]", None),
    ],
)
def test_a_carried_field_of_another_type_never_costs_a_verdict(name: str, raw_value: bytes, expected: object) -> None:
    """Nobody judges by it; an ad server that compares event ids meets none, and shows no ad."""
    assert carried(name, raw_value) == expected


@pytest.mark.parametrize("value", [1735689600.482, {"$date": 1}, [1], True, "2026-01-01", 10**30])
@pytest.mark.parametrize("name", ["id", "createdAt", "created_at"])
def test_a_field_of_a_message_that_nobody_reads_may_be_anything(name: str, value: object) -> None:
    """A clock with a fraction had dead-lettered the whole chat."""
    messages = [{"role": "user", "content": "hi", name: value}]
    raw = json.dumps({"chat_id": "c", "messages": messages}).encode()
    assert decode_chat_event(raw, LIMITS).messages[0].content == "hi"
