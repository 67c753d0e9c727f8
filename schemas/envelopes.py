"""Events inside of envelopes: what producers and connectors put around them, and how it is taken off. Pure.

A record without the envelope is read as it is: while producers move from one form to another a topic holds both, and
none of the envelopes can be taken for a chat event.

Invariant: what is inside of an envelope obeys the limits of a record that has none.
"""

import base64
import binascii
from enum import StrEnum
from typing import Final

from schemas.codec import (
    CodecLimits,
    checked_event,
    parse_event,
    parse_json,
    parse_object,
    readable_chat_id,
)
from schemas.confluent_frame import without_frame
from schemas.errors import RecordRejected, RejectionReason

_TEXT_COLUMNS: Final = ("messages", "query", "formatted_chat")
_UNAVAILABLE: Final = "__debezium_unavailable_value"
"""Stands in a change for a large value that did not change and that the database did not log (Postgres: TOAST)."""
# Tuples: what stands in a record may be a list or an object, of which a set cannot be asked.
_WITH_A_ROW: Final = ("c", "u", "r")
_OPERATIONS: Final = (*_WITH_A_ROW, "d", "t", "m")
_DELETED: Final = (True, "true")


class ValueFormat(StrEnum):
    """What the values of the input topic are."""

    JSON = "json"
    """A chat event."""
    CONFLUENT_JSON = "confluent_json"
    """The same behind a Confluent frame, as JSON Schema serialisers write it."""
    DEBEZIUM = "debezium"
    """A change of a table's row, whose columns are the fields of a chat event."""
    CLOUDEVENTS = "cloudevents"
    """A CloudEvent in JSON whose data is a chat event; also in binary mode, where the value is the data."""


def parse_event_in(raw: bytes | None, limits: CodecLimits, value_format: ValueFormat) -> dict[str, object]:
    """Parse one input record and take its envelope off; see `schemas.parse_event`.

    Raises:
        RecordRejected: with reason decode_error, too_large or schema_error; it `erases` where the record says that the
            chat is to be forgotten.
    """
    if value_format is ValueFormat.JSON or raw is None:
        return parse_event(raw, limits)
    # Connectors may write either of the other two with a serialiser of Confluent's.
    raw = without_frame(raw)
    if value_format is ValueFormat.CONFLUENT_JSON:
        return parse_event(raw, limits)
    document = parse_object(raw, limits)
    inner = _data_of(document, limits) if value_format is ValueFormat.CLOUDEVENTS else _row_of(document, limits)
    return checked_event(inner, limits)


def _data_of(document: dict[str, object], limits: CodecLimits) -> dict[str, object]:
    """Return the data of a CloudEvent."""
    if "specversion" not in document:
        return document
    data = document.get("data")
    encoded = document.get("data_base64")
    if isinstance(encoded, str) and data is None:
        try:
            data = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise RecordRejected(
                RejectionReason.DECODE_ERROR, "data_base64 of the CloudEvent is no base64; expected a chat event in it"
            ) from None
    return _object_of(data, "data of the CloudEvent", limits)


def _row_of(document: dict[str, object], limits: CodecLimits) -> dict[str, object]:
    """Return the row after a change."""
    change: object = document
    if "chat_id" not in document and "payload" in document:
        change = document["payload"]
    if not isinstance(change, dict):
        raise _rejected(f"payload of the change is {_kind(change)}; expected an object")
    if "op" not in change or "chat_id" in change:
        return _columns(change, limits, is_deleted=change.get("__deleted") in _DELETED)
    operation = change["op"]
    if operation == "d":
        return _columns(_before(change.get("before"), limits), limits, is_deleted=True)
    if operation not in _WITH_A_ROW:
        known = operation in _OPERATIONS
        raise _rejected(
            f"op of the change is {operation if known else 'unknown'}; expected c, u, r or d; leave out truncates and "
            "messages at the connector (skipped.operations): they erase no chat here"
        )
    return _columns(_object_of(change.get("after"), "after of the change", limits), limits)


def _before(before: object, limits: CodecLimits) -> dict[str, object]:
    """Return the row before a deletion; empty where the database does not log it."""
    return {} if before is None else _object_of(before, "before of the change", limits)


def _columns(row: dict[str, object], limits: CodecLimits, *, is_deleted: bool = False) -> dict[str, object]:
    """Return a row as an event.

    Raises:
        RecordRejected: it was deleted, or its text is not all there.
    """
    if is_deleted:
        raise RecordRejected(
            RejectionReason.DECODE_ERROR,
            "the row was deleted, which is taken for a tombstone; expected a row with a chat",
            readable_chat_id(row),
            erases=True,
        )
    for name in _TEXT_COLUMNS:
        if row.get(name) == _UNAVAILABLE:
            raise RecordRejected(
                RejectionReason.SCHEMA_ERROR,
                f"{name} is Debezium's placeholder for a large value that did not change; expected the value; set "
                "REPLICA IDENTITY FULL on the table",
                readable_chat_id(row),
            )
    messages = row.get("messages")
    if not isinstance(messages, str):
        return row
    # A JSON column travels as a text.
    try:
        return {**row, "messages": parse_json(messages.encode(), limits)}
    except RecordRejected as rejection:
        rejection.chat_id = readable_chat_id(row)
        raise


def _object_of(value: object, name: str, limits: CodecLimits) -> dict[str, object]:
    """Return an object that may also be written as a text."""
    if isinstance(value, str | bytes):
        return parse_object(value.encode() if isinstance(value, str) else value, limits)
    if not isinstance(value, dict):
        raise _rejected(f"{name} is {_kind(value)}; expected a chat event")
    return value


def _rejected(problem: str) -> RecordRejected:
    return RecordRejected(RejectionReason.SCHEMA_ERROR, problem)


def _kind(value: object) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"
