"""Traces of batches: what a collector gets over OTLP/HTTP, what is sampled, and what an absent collector costs."""

import gzip
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from pydantic import ValidationError

from tests.brokers import Broker
from tests.worker.loop_rig import Rig
from tests.worker.payloads import record
from worker.errors import Fatal
from worker.process.tracing import MAX_LINKS, BatchTrace, Tracing, open_tracing
from worker.record import Record, Row
from worker.settings.tracing import TracingSettings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
STAGES = {"decode", "cache_get", "classify", "decide", "commit_wait", "cache_put", "transaction"}


class Collector:
    """What was sent to a collector."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.url = ""

    @property
    def spans(self) -> list[Span]:
        """All spans, in order."""
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def batches(self) -> list[Span]:
        """Those of whole batches."""
        return [span for span in self.spans if span.name == "batch"]


@contextmanager
def collecting() -> Iterator[Collector]:
    """Serve OTLP over HTTP on a loopback port until the block ends."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf":
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def traced(offset: int, traceparent: str) -> Record:
    """Return a record of this trace context."""
    return record(offset)._replace(headers=(("traceparent", traceparent.encode()), ("tracestate", b"a=b")))


def test_a_batch_is_a_span_with_its_stages_and_links_to_its_records(broker: Broker) -> None:
    """Who looks at a slow trace upstream finds the batch that its event went through, and which stage took long."""
    with collecting() as collector:
        tracing = open_tracing(TracingSettings(endpoint=collector.url, sample_ratio=1.0))
        good = [traced(n, f"00-{TRACE}-00f067aa0ba902b{n}-01") for n in range(3)]
        bad = [traced(3, "no context"), record(4), record(5, value=b"no json")]
        Rig(broker, [*good, *bad], [record(6)], tracing=tracing).loop.run()
        tracing.close()
    first, second = sorted(collector.batches, key=lambda span: span.start_time_unix_nano)
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in first.links] == [
        (TRACE, f"00f067aa0ba902b{n}") for n in range(3)
    ]
    assert not second.links
    counts = {one.key: one.value.int_value for one in first.attributes}
    assert counts["messaging.batch.message_count"] == 6
    assert counts["verdictstream.n_rejected"] == 1
    for batch in (first, second):
        below = [span for span in collector.spans if span.parent_span_id == batch.span_id]
        assert {span.name for span in below} == STAGES
        assert {span.trace_id for span in below} == {batch.trace_id}
        assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in below)
        assert batch.start_time_unix_nano < batch.end_time_unix_nano
    resource = {one.key: one.value.string_value for one in collector.requests[0].resource_spans[0].resource.attributes}
    assert resource["service.name"] == "verdictstream"


def test_no_span_holds_an_id_or_a_text(broker: Broker) -> None:
    """A collector is read by many, and keeps for long."""
    with collecting() as collector:
        tracing = open_tracing(TracingSettings(endpoint=collector.url, sample_ratio=1.0))
        Rig(broker, [record(0, chat_id="canary-chat", query="canary text")], tracing=tracing).loop.run()
        tracing.close()
    said = b"".join(request.SerializeToString() for request in collector.requests)
    assert collector.batches
    assert b"canary" not in said


def batch(tracing: Tracing, *records: Record) -> None:
    """Trace one batch by hand."""
    trace = tracing.begin()
    tracing.stage("decode", 0.001)
    tracing.committed(trace, [Row(one) for one in records])


def test_batches_are_sampled() -> None:
    """Each is whole or not there; 0 sends nothing."""
    for ratio, least, most in ((0.0, 0, 0), (0.5, 60, 140), (1.0, 200, 200)):
        with collecting() as collector:
            tracing = open_tracing(TracingSettings(endpoint=collector.url, sample_ratio=ratio))
            for _ in range(200):
                batch(tracing, record(1))
            tracing.close()
        assert least <= len(collector.batches) <= most
        assert len(collector.spans) == 2 * len(collector.batches)


def test_a_large_batch_links_to_its_first_records() -> None:
    """The SDK would drop the oldest of too many."""
    with collecting() as collector:
        tracing = open_tracing(TracingSettings(endpoint=collector.url, sample_ratio=1.0))
        batch(tracing, *(traced(n, f"00-{TRACE}-{n + 1:016x}-01") for n in range(MAX_LINKS + 50)))
        tracing.close()
    (span,) = collector.batches
    assert [int(link.span_id.hex(), 16) for link in span.links] == [*range(1, MAX_LINKS + 1)]


def test_a_collector_that_is_away_costs_no_batch(broker: Broker) -> None:
    """Spans are dropped, verdicts are not."""
    tracing = open_tracing(TracingSettings(endpoint="http://127.0.0.1:9/v1/traces", sample_ratio=1.0, timeout_s=0.1))
    rig = Rig(broker, [record(0)], [record(1)], tracing=tracing)
    rig.loop.run()
    tracing.close()
    assert len(rig.verdicts) == 2


def test_two_batches_at_a_time_keep_their_stages_apart() -> None:
    """One is committed in its thread while the next is decoded."""
    with collecting() as collector:
        tracing = open_tracing(TracingSettings(endpoint=collector.url, sample_ratio=1.0))
        first = tracing.begin()

        def commit() -> None:
            tracing.go_on(first)
            tracing.stage("transaction", 0.0)
            tracing.committed(first, [Row(record(1))])

        second = tracing.begin()
        thread = threading.Thread(target=commit)
        thread.start()
        tracing.stage("decode", 0.0)
        thread.join()
        tracing.committed(second, [Row(record(2))])
        tracing.close()
    assert isinstance(first, BatchTrace)
    assert isinstance(second, BatchTrace)
    assert [name for name, *_ in first.stages] == ["transaction"]
    assert [name for name, *_ in second.stages] == ["decode"]
    assert len(collector.batches) == 2


def test_off_is_the_default_and_keeps_nothing() -> None:
    """No package is needed and no time taken down."""
    tracing = open_tracing(TracingSettings())
    assert tracing.begin() is None
    tracing.stage("decode", 0.0)
    tracing.committed(None, [Row(record(1))])
    tracing.close()


def test_a_missing_package_ends_the_start_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for traces and gets none would notice when they are needed."""
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(Fatal, match="expected the extra `tracing`; install"):
        open_tracing(TracingSettings(endpoint="http://collector:4318/v1/traces"))


@pytest.mark.parametrize(
    "fields",
    [
        {"endpoint": "collector:4318"},
        {"endpoint": "grpc://collector:4317"},
        {"endpoint": "http://user:secret@collector:4318/v1/traces"},
        {"sample_ratio": 1.1},
        {"sample_ratio": -0.1},
        {"timeout_s": 0},
    ],
)
def test_what_can_send_nothing_is_refused_at_start(fields: dict[str, Any]) -> None:
    """And a login in the address, which logs would show."""
    with pytest.raises(ValidationError):
        TracingSettings(**fields)
