"""OpenTelemetry traces: one span for a batch, one below it for each stage, and links to the traces of its records.

A batch is of many traces, so it is a trace of its own that names them. Only committed batches are traced. A thread of
the SDK sends the spans; what a collector does not take in time is dropped.

Invariants: nothing is imported and nothing is kept where tracing is off; a span holds counts, never an id or a text.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from worker.errors import Fatal
from worker.record import Row
from worker.settings.tracing import TracingSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

SERVICE: Final = "verdictstream"
MAX_LINKS: Final = 128
"""The SDK's limit; a larger batch links to its first records."""


@dataclass
class BatchTrace:
    """What one batch has done so far, in ns since the epoch."""

    started_ns: int = field(default_factory=time.time_ns)
    stages: list[tuple[str, int, int]] = field(default_factory=list)
    """Name, start and end."""

    def add(self, name: str, duration_s: float) -> None:
        """Take down a stage that ends now."""
        ended = time.time_ns()
        self.stages.append((name, ended - int(duration_s * 1e9), ended))


class Tracing:
    """Traces batches: two at a time, since one is committed while the next is classified.

    Args:
        provider: Where spans go; None: tracing is off.
    """

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self._provider = provider
        self._tracer = None if provider is None else provider.get_tracer(SERVICE)
        self._current = threading.local()

    def begin(self) -> BatchTrace | None:
        """Begin a batch in this thread; None where tracing is off."""
        trace = None if self._tracer is None else BatchTrace()
        self.go_on(trace)
        return trace

    def go_on(self, trace: BatchTrace | None) -> None:
        """Take stages of this thread for that batch from here on."""
        self._current.trace = trace

    def stage(self, name: str, duration_s: float) -> None:
        """Take down a stage of this thread's batch that ends now."""
        trace: BatchTrace | None = getattr(self._current, "trace", None)
        if trace is not None:
            trace.add(name, duration_s)

    def committed(self, trace: BatchTrace | None, rows: Sequence[Row]) -> None:
        """Hand a committed batch to the SDK, which samples it."""
        if trace is None or self._tracer is None:
            return
        from opentelemetry.trace import SpanKind, set_span_in_context  # noqa: PLC0415  off, it may not be installed

        span = self._tracer.start_span(
            "batch",
            kind=SpanKind.CONSUMER,
            start_time=trace.started_ns,
            attributes={
                "messaging.system": "kafka",
                "messaging.operation.name": "process",
                "messaging.batch.message_count": len(rows),
                "verdictstream.n_cached": sum(row.verdict is not None and row.verdict.cache_hit for row in rows),
                "verdictstream.n_rejected": sum(row.rejection is not None for row in rows),
            },
        )
        if span.is_recording():
            _link(span, rows)
            below = set_span_in_context(span)
            for name, started_ns, ended_ns in trace.stages:
                self._tracer.start_span(name, below, start_time=started_ns).end(ended_ns)
        span.end(time.time_ns())

    def close(self) -> None:
        """Send what is left, for as long as one wait for the collector."""
        if self._provider is not None:
            self._provider.shutdown()


def _link(span: "Span", rows: Sequence[Row]) -> None:
    """Link a batch to the traces that its records name; a context that is none is left out."""
    from opentelemetry.trace import get_current_span  # noqa: PLC0415  as above
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415  as above

    propagator = TraceContextTextMapPropagator()
    n_links = 0
    for row in rows:
        headers = {name: value.decode("ascii", "replace") for name, value in row.record.headers}
        if "traceparent" not in headers:
            continue
        context = get_current_span(propagator.extract(headers)).get_span_context()
        if context.is_valid and n_links < MAX_LINKS:
            span.add_link(context)
            n_links += 1


def open_tracing(settings: TracingSettings) -> Tracing:
    """Return what traces batches; nothing where no endpoint is set.

    Raises:
        Fatal: an endpoint is set and the packages are not installed.
    """
    if settings.endpoint is None:
        return Tracing()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  an extra
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  an extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  an extra
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415  an extra
        from opentelemetry.sdk.trace.sampling import TraceIdRatioBased  # noqa: PLC0415  an extra
    except ImportError as error:
        raise Fatal(
            f"tracing.endpoint is set and {error.name} is not installed; expected the extra `tracing`; install "
            "requirements-tracing.lock, or unset MODERATION_TRACING__ENDPOINT"
        ) from error
    provider = TracerProvider(
        sampler=TraceIdRatioBased(settings.sample_ratio),
        resource=Resource.create({"service.name": SERVICE}),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=settings.endpoint, timeout=settings.timeout_s)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider)
