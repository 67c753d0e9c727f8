"""Which headers go on to the outcome: named ones, bounded, each once, whatever upstream sends."""

from typing import Any, cast

import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Counter

from schemas import DeadLetter, RejectionReason, encode_verdict
from tests.worker.payloads import kafka_settings, record
from tests.worker.test_outcome_encoding import REJECTION, rejected, settled, size, verdict
from worker.kafka.forwarded_headers import MAX_FORWARDED_BYTES, ForwardedHeaders, forwarded_names, headers_of, size_of
from worker.outcome_encoding import OutputTopics
from worker.process.metrics import Metrics
from worker.record import Row

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Headers = list[tuple[str, bytes | None]]


def chosen(headers: Headers | None, more: str = "") -> tuple[dict[str, bytes], Counter]:
    """Return what is forwarded of these headers, and the counter of what was to be and is not."""
    dropped = Metrics().headers_dropped
    message = Message(topic="t", partition=0, offset=0, value=b"{}", headers=cast("Any", headers))
    found = ForwardedHeaders(forwarded_names(more), dropped).read(message)[0]
    assert len(dict(found)) == len(found)
    return dict(found), dropped


def n_dropped(counter: Counter, reason: str) -> float:
    """Return how often a header was dropped for this reason."""
    return float(counter.labels(reason)._value.get())


class UnreadableMessage:
    """A message one of whose headers has a name that is not UTF-8, as confluent-kafka 2.16 gives it."""

    def __init__(self) -> None:
        self.headers_set: object = None

    def headers(self) -> Any:
        """Fail, and from then on return a list that ends the process where it is read."""
        if self.headers_set is None:
            raise SystemError("returned a result with an exception set")
        return self.headers_set

    def set_headers(self, headers: object) -> None:
        """Replace the list."""
        self.headers_set = headers


@pytest.mark.parametrize("headers", [None, []])
def test_a_record_without_headers_forwards_none(headers: Headers | None) -> None:
    """The common case, which must cost nothing."""
    assert chosen(headers)[0] == {}


def test_the_trace_context_is_forwarded_and_other_headers_are_not() -> None:
    """A header may hold a secret or a text of the chat: only named ones leave."""
    found, _ = chosen([("traceparent", TRACE.encode()), ("authorization", b"x"), ("tracestate", b"a=b")])
    assert found == {"traceparent": TRACE.encode(), "tracestate": b"a=b"}


def test_headers_that_the_settings_name_are_forwarded_too() -> None:
    """Names as they are written; a header's name has a case in Kafka."""
    found, _ = chosen([("x-tenant", b"1"), ("X-Tenant", b"2"), ("baggage", b"\xff\x00")], "x-tenant, baggage")
    assert found == {"x-tenant": b"1", "baggage": b"\xff\x00"}


def test_of_several_headers_of_one_name_the_last_is_forwarded() -> None:
    """As Kafka's `lastHeader`, which tracing libraries read."""
    assert chosen([("traceparent", b"1"), ("tracestate", b"s"), ("traceparent", b"2")])[0]["traceparent"] == b"2"
    assert "traceparent" not in chosen([("traceparent", b"1"), ("traceparent", None)])[0]


def test_a_header_that_is_too_large_is_left_out_whole_and_counted() -> None:
    """Half a trace context names another trace; the small ones behind it still go on."""
    found, dropped = chosen([("traceparent", b"x" * 1_000_000), ("tracestate", b"a=b")])
    assert found == {"tracestate": b"a=b"}
    assert n_dropped(dropped, "too_large") == 1


def test_a_name_that_is_no_utf_8_forwards_nothing_and_ends_nothing() -> None:
    """The client raises SystemError and keeps a list of null pointers, which a second look must not see."""
    dropped = Metrics().headers_dropped
    message = cast("Message", UnreadableMessage())
    assert ForwardedHeaders(forwarded_names(""), dropped).read(message) == ((), 0)
    assert n_dropped(dropped, "unreadable") == 1
    assert headers_of(message) == ()
    assert headers_of(cast("Message", UnreadableMessage())) is None


def test_headers_in_their_thousands_are_given_back_at_once() -> None:
    """A batch keeps its messages until all are read; each of them may hold 100,000."""
    message = Message(
        topic="t",
        partition=0,
        offset=0,
        headers=cast("Any", [*[(f"h{i}", b"") for i in range(9_999)], ("traceparent", b"1")]),
    )
    assert ForwardedHeaders(forwarded_names(""), Metrics().headers_dropped).read(message)[0] == (("traceparent", b"1"),)
    assert len(message.headers() or ()) < 100


NAMES = st.sampled_from(["traceparent", "tracestate", "a", "b", "reason", "error", "", "ü"])
VALUES = st.none() | st.binary(max_size=30) | st.integers(0, 4_000).map(bytes)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=40))
def test_any_headers_are_bounded_and_of_the_names_asked_for(headers: Headers) -> None:
    """Number and bytes, and the value is always one that was sent under that name."""
    found, _ = chosen(headers, "a,b")
    assert found.keys() <= {"traceparent", "tracestate", "a", "b"}
    assert size_of([*found.items()]) <= MAX_FORWARDED_BYTES
    assert all((name, value) in headers for name, value in found.items())


@given(st.lists(st.tuples(NAMES, VALUES), max_size=40), st.integers(0, 20_000), st.integers(9_000, 15_000))
def test_no_message_with_headers_is_larger_than_its_topic_accepts(headers: Headers, n_bytes: int, limit: int) -> None:
    """The broker would refuse it for ever."""
    forwarded = tuple(chosen(headers, "a,b")[0].items())
    topics = OutputTopics("verdicts", "chat-events.dlq", verdict_max_bytes=limit, dead_letter_max_bytes=limit)
    letter = rejected(1, value=b"x" * n_bytes, error="e" * 1_000)
    letter.record = letter.record._replace(headers=forwarded)
    longest = verdict(1).model_copy(update={"chat_id": "\U0001f600" * 256})
    messages = settled([letter, Row(record(1)._replace(headers=forwarded), verdict=longest)], topics)
    assert all(size(message) <= limit for message in messages)


def test_a_verdict_and_a_dead_letter_carry_the_headers_of_their_event() -> None:
    """A dead letter's own come first and stay what they are."""
    forwarded = (("traceparent", b"1"), ("x", b""))
    one = record(1)._replace(headers=forwarded)
    judged, letter = settled([Row(one, verdict=verdict(1)), Row(one, rejection=REJECTION)])
    assert (judged.headers, judged.value) == (forwarded, encode_verdict(verdict(1)))
    assert [*letter.headers][-2:] == [*forwarded]
    assert DeadLetter.from_headers(letter.headers).reason is RejectionReason.SCHEMA_ERROR


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("reason", "which the worker writes itself"),
        ("x, origin_offset", "which the worker writes itself"),
        ("tenant\n", None),
        ("ten\nant", "is no header name"),
        ("größe", "is no header name"),
        ("x" * 65, "is no header name"),
        (",".join(f"h{i}" for i in range(15)), "17 header names"),
        (",".join(f"h{i}" for i in range(14)), None),
        (" , ,", None),
        ("traceparent", None),
    ],
)
def test_names_that_cannot_be_forwarded_are_refused_at_start(names: str, said: str | None) -> None:
    """A dead letter's own header is never overridden, because no such name can be set."""
    if said is None:
        assert kafka_settings(forward_headers=names).forward_headers == names
        return
    with pytest.raises(ValueError, match=said):
        kafka_settings(forward_headers=names)
