"""A conversation may cost what a record may cost, alone or in a batch."""

from http import HTTPStatus
from typing import Any

import orjson
import pytest

from console.classify.reading import problem_of, read_request
from console.judging.asked import Asked
from schemas import CodecLimits, RecordRejected, RejectionReason, decode_chat_event
from tests.bad_inputs import chat

LIMITS = CodecLimits(max_event_bytes=400, max_event_values=40, max_messages=10_000)
SMALL = chat(chat_id="small")
MANY_VALUES = chat(chat_id="many", context=[[]] * 60)
MANY_BYTES = chat(chat_id="long", context="x" * 400)


def fits_the_worker(event: dict[str, Any]) -> bool:
    """Say whether a record with this event is decoded."""
    try:
        decode_chat_event(orjson.dumps(event), LIMITS)
    except RecordRejected:
        return False
    return True


@pytest.mark.parametrize(
    ("event", "setting"),
    [(MANY_VALUES, "CONSOLE_CODEC__MAX_EVENT_VALUES"), (MANY_BYTES, "CONSOLE_CODEC__MAX_EVENT_BYTES")],
    ids=["values", "bytes"],
)
def test_a_large_conversation_is_refused_alone_and_in_a_batch(event: dict[str, Any], setting: str) -> None:
    """Its neighbours are judged."""
    alone = read_request(orjson.dumps(event), LIMITS)
    batch = read_request(orjson.dumps({"conversations": [SMALL, event, "hello"]}), LIMITS)
    assert (alone.is_batch, batch.is_batch) == (False, True)
    for found in (alone.asked[0], batch.asked[1]):
        assert isinstance(found, RecordRejected)
        assert found.reason is RejectionReason.TOO_LARGE
        assert setting in found.error
        assert problem_of(found).status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert isinstance(batch.asked[1], RecordRejected)
    assert batch.asked[1].chat_id == event["chat_id"]
    assert isinstance(batch.asked[0], Asked)
    assert isinstance(batch.asked[2], Asked)


@pytest.mark.parametrize("n_values", range(20, 45))
def test_the_worker_and_both_forms_draw_the_same_line(n_values: int) -> None:
    """What one of them judges, all judge."""
    event = chat(context=[1] * n_values)
    expected = Asked if fits_the_worker(event) else RecordRejected
    alone = read_request(orjson.dumps(event), LIMITS)
    batch = read_request(orjson.dumps({"conversations": [event, SMALL]}), LIMITS)
    assert isinstance(alone.asked[0], expected)
    assert isinstance(batch.asked[0], expected)


def test_a_batch_may_be_larger_than_one_conversation() -> None:
    """The bounds are those of each; a text counts as well."""
    batch = read_request(orjson.dumps({"conversations": [SMALL] * 30 + ["y" * 399]}), LIMITS)
    *events, text = batch.asked
    assert all(isinstance(one, Asked) for one in events)
    assert isinstance(text, RecordRejected)


def test_an_integer_beyond_64_bits_is_no_obstacle() -> None:
    """Upstream may send one as an event_id."""
    batch = read_request(
        orjson.dumps({"conversations": [SMALL] * 30})[:-2] + b',{"text":"a","event_id":' + b"9" * 30 + b"}]}", LIMITS
    )
    assert isinstance(batch.asked[-1], Asked)
