"""Dead-letter headers: UTF-8 text, read back as written."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas import DeadLetter, RejectionReason

BASE: dict[str, Any] = {
    "reason": RejectionReason.DECODE_ERROR,
    "error": "found, expected",
    "origin_topic": "chat-events",
    "origin_partition": 3,
    "origin_offset": 41,
    "origin_timestamp_ms": -1,
}


def _headers(**changes: bytes | None) -> dict[str, str | bytes | None]:
    return {**dict(DeadLetter(**BASE).to_headers()), **changes}


LETTERS = st.builds(
    DeadLetter,
    reason=st.sampled_from(RejectionReason),
    error=st.text(max_size=50),
    origin_topic=st.text(max_size=20),
    origin_partition=st.integers(0, 2**31 - 1),
    origin_offset=st.integers(0, 2**63 - 1),
    origin_timestamp_ms=st.integers(-1, 2**63 - 1),
    truncated_from_bytes=st.none() | st.integers(0, 2**31),
)


@given(LETTERS)
def test_headers_are_read_back_as_they_were_written(letter: DeadLetter) -> None:
    """A dead letter finds its way back to its input record."""
    assert DeadLetter.from_headers(letter.to_headers()) == letter


def test_the_headers_are_those_of_the_contract_in_its_order() -> None:
    """Readers look them up by name; an absent value is an absent header, never the text None."""
    headers = DeadLetter(**BASE).to_headers()
    assert [name for name, _ in headers] == list(BASE)
    assert dict(headers)["reason"] == b"decode_error"
    assert dict(headers)["origin_timestamp_ms"] == b"-1"


@pytest.mark.parametrize("error", ["é" * 5_000, "a\ud800b", "\x00", ""])
def test_no_error_text_stops_a_dead_letter(error: str) -> None:
    """It may come from a library, as long and as strange as that library likes."""
    letter = DeadLetter(**{**BASE, "error": error})
    assert len(letter.error) <= 1_000
    assert DeadLetter.from_headers(letter.to_headers()) == letter


def test_headers_outside_the_contract_are_passed_over() -> None:
    """Tracing adds headers of its own, in bytes that are no text."""
    headers = _headers(trace=b"\xff\x00", empty=None)
    assert DeadLetter.from_headers(headers.items()) == DeadLetter(**BASE)


@pytest.mark.parametrize("name", list(BASE))
@pytest.mark.parametrize("value", [None, b"\xff"])
def test_a_missing_or_malformed_header_is_a_validation_error(name: str, value: bytes | None) -> None:
    """A reader of the topic answers one exception, whatever it was handed."""
    headers = _headers(**{name: value})
    with pytest.raises(ValidationError):
        DeadLetter.from_headers(headers.items())


@pytest.mark.parametrize("name", ["origin_partition", "origin_offset"])
def test_a_position_that_is_no_number_is_a_validation_error(name: str) -> None:
    """A redrive must not start from a guess."""
    for value in (b"", b"x", b"-1", b"1.5"):
        headers = _headers(**{name: value})
        with pytest.raises(ValidationError):
            DeadLetter.from_headers(headers.items())
