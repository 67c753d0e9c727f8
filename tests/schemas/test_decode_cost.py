"""What a hostile record may cost: memory in proportion to its bytes, not hundreds of times that."""

import tracemalloc
from collections.abc import Callable

import pytest

from schemas import RecordRejected, decode_chat_event
from tests.schemas.payloads import LIMITS, event_bytes


def _filled(opening: bytes, item: bytes, closing: bytes) -> bytes:
    """Repeat an item, comma-separated, up to the codec's limit."""
    room = LIMITS.max_event_bytes - len(opening) - len(closing)
    return opening + b",".join([item] * (room // (len(item) + 1))) + closing


def _peak_bytes(raw: bytes) -> int:
    tracemalloc.start()
    try:
        decode_chat_event(raw, LIMITS)
    except RecordRejected:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


MESSAGES = b'{"chat_id":"c","messages":['
CONTEXT = b'{"chat_id":"c","query":"q","context":['

HOSTILE: dict[str, tuple[Callable[[], bytes], int]] = {
    "100,000 nested brackets": (lambda: b"[" * 100_000, 1_000_000),
    "a million messages that are numbers": (lambda: _filled(MESSAGES, b"1", b"]}"), 4_000_000),
    "660,000 messages without fields": (lambda: _filled(MESSAGES, b"{}", b"]}"), 4_000_000),
    "660,000 empty lists in context": (lambda: _filled(CONTEXT, b"[]", b"]}"), 4_000_000),
    "lists of lists in context": (lambda: _filled(CONTEXT, b"[[[]]]", b"]}"), 4_000_000),
    "500,000 numbers of 3 digits in context": (lambda: _filled(CONTEXT, b"999", b"]}"), 4_000_000),
    "the most messages there is room for": (
        lambda: _filled(MESSAGES, b'{"role":"user","content":"a"}', b"]}"),
        4_000_000,
    ),
    "as many messages as are allowed": (
        lambda: event_bytes(messages=[{"role": "user", "content": "a"}] * LIMITS.max_messages),
        16_000_000,
    ),
    "as many values in context as are allowed": (
        lambda: event_bytes(context=[[]] * (LIMITS.max_event_values // 2 - 10)),
        16_000_000,
    ),
    "as many parts of a content as are allowed": (
        lambda: event_bytes(
            messages=[{"role": "user", "content": [{"type": "text", "text": "a"}] * (LIMITS.max_event_values // 3)}]
        ),
        24_000_000,
    ),
    "a word of 1 MB": (lambda: event_bytes(query="a" * 1_000_000), 8_000_000),
    "a number of 5,000 digits": (lambda: event_bytes() + b"9" * 5_000, 1_000_000),
    "zero-width text of 1.8 MB": (
        lambda: event_bytes(messages=[], query="\u200b" * 600_000),
        16_000_000,
    ),
    "10 MB": (lambda: b" " * 10_000_000, 1_000_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_memory_stays_within_a_small_multiple_of_the_record(name: str) -> None:
    """Listing a million validation errors, for one, takes 2 GB; a worker has less."""
    make, limit_bytes = HOSTILE[name]
    raw = make()
    assert _peak_bytes(raw) < limit_bytes


def test_memory_is_given_back_after_hostile_records() -> None:
    """Nothing of a rejected record stays referenced, by a cache or by an exception."""
    raw = b"[" * 100_000
    for _ in range(3):
        _peak_bytes(raw)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(200):
        with pytest.raises(RecordRejected):
            decode_chat_event(raw, LIMITS)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 200_000
