"""`event_id` and `occurred_at` travel through; no value of them that JSON can hold costs a chat its verdict."""

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
