"""A trace goes from the event to its verdict or dead letter, by replays and redrives too; no header stops a worker."""

from typing import Any

import orjson
import pytest

from deploy.local import LocalStack
from schemas import DeadLetter
from testkit.ledger import origin
from testkit.records import InputRecord, OutputRecord
from testkit.topics import Topics
from tests.integration.conftest import StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.raw_headers import send_with_raw_headers
from tests.integration.replay_rig import ReplayRig

pytestmark = pytest.mark.services

OWN = {name for name, field in DeadLetter.model_fields.items() if field.is_required()}
NO_EVENT = b'{"chat_id": 7}'


def trace_of(i: int) -> str:
    """Return the trace context of the event with this number."""
    return f"00-{i:032x}-00f067aa0ba902b7-01"


def traced(chat: dict[str, Any], i: int, *more: tuple[str, bytes | None]) -> InputRecord:
    """Return an event with a trace of its own and more headers; every third cannot be read."""
    value = NO_EVENT if i % 3 == 2 else orjson.dumps({**chat, "event_id": i})
    headers = (("traceparent", trace_of(i).encode()), ("x-tenant", b"t1"), ("authorization", b"secret"), *more)
    return InputRecord(chat["chat_id"].encode(), value, headers)


def forwarded(record: OutputRecord) -> dict[str, str]:
    """Return the headers of an outcome without those that a dead letter has of its own."""
    return {name: value for name, value in record.headers.items() if name not in OWN}


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_an_outcome_carries_the_trace_of_its_event(
    *,
    delivery: str,
    ledger: LiveLedger,
    topics: Topics,
    start_worker: StartWorker,
    replays: ReplayRig,
    sample_chats: list[dict[str, Any]],
) -> None:
    """Of a verdict and of a dead letter, whose own headers an event cannot override; replays and redrives keep it."""
    ledger.send_raw(
        traced(chat, i, ("reason", b"fine"), ("origin_offset", b"999")) for i, chat in enumerate(sample_chats[:12])
    )
    start_worker(KAFKA__FORWARD_HEADERS="x-tenant", KAFKA__DELIVERY=delivery)
    ledger.wait_complete()
    ledger.assert_exactly_once()
    expected = {place: sent.headers[0][1].decode() for place, sent in ledger.sent.items() if sent.headers[0][1]}
    for record in ledger.read():
        assert forwarded(record) == {"traceparent": expected[origin(record, topics)], "x-tenant": "t1"}
    assert {letter.headers["reason"] for letter in ledger.dead_letters().values()} == {"schema_error"}
    if delivery == "at_least_once":
        return
    replays.run(KAFKA__FORWARD_HEADERS="x-tenant")
    for record in replays.records():
        source = orjson.loads(record.value or b"")["source"]
        assert record.headers == {
            "traceparent": expected[source["topic"], source["partition"], source["offset"]],
            "x-tenant": "t1",
        }
    # What the first replay dead-lettered is among what is redriven.
    replays.run("--redrive", replay_id="redrive", KAFKA__FORWARD_HEADERS="x-tenant")
    letters = [record for record in replays.records(topics.dead_letters) if record.headers.keys() >= OWN]
    assert len(letters) == 4 + 4 + 8
    for record in letters:
        assert forwarded(record) == {"traceparent": expected[origin(record, topics)], "x-tenant": "t1"}


def test_no_header_stops_a_worker_or_harms_a_neighbour(
    *,
    stack: LocalStack,
    ledger: LiveLedger,
    topics: Topics,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """Whoever may write an event may write any header: null, not UTF-8, twice, a megabyte, thousands."""
    hostile: list[tuple[tuple[str, bytes | None], ...]] = [
        (("traceparent", None), ("x-tenant", None)),
        (("traceparent", b"\xff\xfe\x00"), ("x-tenant", b"\xc3\x28")),
        (("traceparent", b"first"), ("traceparent", b"last")),
        (("traceparent", b"x" * 900_000),),
        (("x" * 900_000, b"1"), ("x-tenant", b"kept")),
        tuple((f"h{i}", b"") for i in range(20_000)),
        (("reason", b"fine"), ("", b""), ("\U0001f600", b"")),
    ]
    expected: list[dict[str, str]] = [
        {},
        {"traceparent": "\\xff\\xfe\x00", "x-tenant": "\\xc3("},
        {"traceparent": "last"},
        {},
        {"x-tenant": "kept"},
        {},
        {},
    ]
    records = [
        InputRecord(chat["chat_id"].encode(), value, headers)
        for chat, headers in zip(sample_chats, hostile, strict=False)
        for value in (orjson.dumps(chat), NO_EVENT)
    ]
    ledger.send_raw(records[:4], partition=0)
    send_with_raw_headers(
        stack.bootstrap_servers, topics.events, NO_EVENT, [(b"\xff\xfe", b"x"), (b"traceparent", b"1")]
    )
    ledger.send_raw(records[4:], partition=0)
    worker = start_worker(KAFKA__FORWARD_HEADERS="x-tenant")
    ledger.wait_seen(len(records) + 1)
    found = {origin(record, topics).offset: forwarded(record) for record in ledger.read()}
    unreadable = found.pop(4)
    assert unreadable == {}
    assert [found[offset] for offset in sorted(found)] == [headers for headers in expected for _ in range(2)]
    assert {letter.headers["reason"] for letter in ledger.dead_letters().values()} == {"schema_error"}
    assert worker.stop() == 0
