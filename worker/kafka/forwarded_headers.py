"""Headers that go from an event to its verdict or dead letter: the trace context, and what the settings name.

Whoever writes the input topic chooses the headers, so they are bounded in number and bytes and never fail a record:
what does not fit is left out whole, since a trace context cut short names another trace.

Invariant: no name here is one of a dead letter's own headers.
Source: W3C Trace Context (traceparent, tracestate) and its Kafka binding in OpenTelemetry, which reads the last of
several headers of one name.
"""

from collections.abc import Sequence
from typing import Final

from confluent_kafka import Message
from prometheus_client import Counter

from schemas import DeadLetter

Header = tuple[str, bytes]

TRACE_CONTEXT: Final = ("traceparent", "tracestate")
MAX_NAMES: Final = 16
"""Most headers that one record forwards."""
MAX_NAME_CHARACTERS: Final = 64
MAX_FORWARDED_BYTES: Final = 3_000
"""Names and values of one record together. With a verdict's key, up to 1,024 bytes, they must fit the 5,000 that
`worker.outcome_encoding` leaves below the topic's limit."""
_FRAMING_BYTES: Final = 8
"""Lengths that a header carries beside its name and its value, at most."""
_OBJECTS_BYTES: Final = 150
"""A tuple, a text and bytes, for each header."""
_MANY: Final = 64
"""Headers beyond this are given back at once: a record may hold 100,000, and a batch 1,000 such records."""


def forwarded_names(more: str) -> tuple[str, ...]:
    """Return the names of the headers that are forwarded.

    Args:
        more: Names beside the trace context, comma-separated.

    Raises:
        ValueError: a name is no header name, is a dead letter's own, or there are too many.
    """
    names = tuple(dict.fromkeys((*TRACE_CONTEXT, *(name.strip() for name in more.split(",") if name.strip()))))
    for name in names:
        if not name.isascii() or not name.isprintable() or len(name) > MAX_NAME_CHARACTERS:
            raise ValueError(
                f"{name[:MAX_NAME_CHARACTERS]!r} is no header name; expected at most {MAX_NAME_CHARACTERS} printable "
                "ASCII characters"
            )
        if name in DeadLetter.model_fields:
            raise ValueError(f"{name} is a header of dead letters, which the worker writes itself; leave it out")
    if len(names) > MAX_NAMES:
        raise ValueError(f"{len(names)} header names with the trace context; expected at most {MAX_NAMES}")
    return names


def headers_of(message: Message) -> Sequence[tuple[str, bytes | None]] | None:
    """Return the headers of a message, in their order; None where one has a name that is not UTF-8."""
    try:
        return message.headers() or ()  # type: ignore[return-value]  # a list of pairs in fact
    except SystemError:
        # The client has kept a list whose names are null pointers: to read it again would end the process.
        message.set_headers([])
        return None


def size_of(headers: Sequence[Header]) -> int:
    """Return the bytes that headers take in a record, at most."""
    return sum(len(name) + len(value) + _FRAMING_BYTES for name, value in headers)


class ForwardedHeaders:
    """Chooses the headers of each record that are forwarded.

    Args:
        names: From `forwarded_names`; where not all fit, the earlier ones do.
        dropped: Counts headers that were not forwarded though they were to be, by reason.
    """

    def __init__(self, names: Sequence[str], dropped: Counter) -> None:
        self._names = names
        self._wanted = frozenset(names)
        self._dropped = dropped

    def read(self, message: Message) -> tuple[tuple[Header, ...], int]:
        """Read a message's headers, once.

        Returns:
            The headers to be forwarded, each name once (a null value has nothing to forward), and about how many bytes
            of memory all of its headers took.
        """
        found = headers_of(message)
        if found is None:
            self._dropped.labels("unreadable").inc()
            return (), 0
        if not found:
            return (), 0
        n_bytes = sum(len(name) + len(value or b"") + _OBJECTS_BYTES for name, value in found)
        return self._chosen(message, found), n_bytes

    def _chosen(self, message: Message, found: Sequence[tuple[str, bytes | None]]) -> tuple[Header, ...]:
        last = {name: value for name, value in found if name in self._wanted}
        if len(found) > _MANY:
            message.set_headers([*found[:_MANY]])
        chosen: list[Header] = []
        n_bytes = 0
        for name in self._names:
            value = last.get(name)
            if value is None:
                continue
            header_bytes = size_of([(name, value)])
            if n_bytes + header_bytes > MAX_FORWARDED_BYTES:
                self._dropped.labels("too_large").inc()
                continue
            n_bytes += header_bytes
            chosen.append((name, value))
        return tuple(chosen)
