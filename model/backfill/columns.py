"""From the columns of an archive to its records. Needs the parquet extra.

Two forms are read. Either the fields of a chat event are columns (`messages` as a list of structs, or as JSON text), or
one column, `value`, has whole events as JSON. Both go through the codec as JSON, so limits, checks and rejections are
those of the worker. Where `topic`, `partition` and `offset` are columns, the outcomes name their source.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson
import pyarrow as pa
from pydantic import ValidationError

from model.backfill.archive_judge import ArchivedRecord
from model.backfill.errors import BackfillRefused
from schemas import RecordRejected, RejectionReason, Source
from schemas.verdict import wire_time

_VALUE: Final = "value"
_PLACE: Final = ("topic", "partition", "offset")
_TIMESTAMP: Final = "timestamp_ms"
_READ_OF_A_MESSAGE: Final = ("role", "content", "tool_calls")


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_messages(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return _is_text(kind) or bool(is_list and pa.types.is_struct(kind.value_type))


_Check = Callable[[pa.DataType], bool]
_EVENT_FIELDS: Final[Mapping[str, tuple[_Check, str]]] = {
    "chat_id": (_is_text, "text"),
    "messages": (_is_messages, "a list of structs with role and content, or JSON text"),
    "formatted_chat": (_is_text, "text"),
    "query": (_is_text, "text"),
    "event_id": (lambda kind: _is_text(kind) or _is_number(kind), "text or a number"),
    "occurred_at": (
        lambda kind: _is_text(kind) or _is_number(kind) or pa.types.is_timestamp(kind),
        "text, a number or a timestamp",
    ),
    "schema_version": (lambda kind: _is_text(kind) or _is_number(kind), "text or a number"),
}
_SOURCE_FIELDS: Final[Mapping[str, tuple[_Check, str]]] = {
    "topic": (_is_text, "text"),
    "partition": (pa.types.is_integer, "an integer"),
    "offset": (pa.types.is_integer, "an integer"),
    _TIMESTAMP: (lambda kind: pa.types.is_integer(kind) or pa.types.is_timestamp(kind), "milliseconds or a timestamp"),
}
_CHECKS: Final = {**_EVENT_FIELDS, **_SOURCE_FIELDS, _VALUE: (_is_text, "text or bytes")}
_TEXTS: Final = ("messages", "formatted_chat", "query")
FIELDS: Final = (*_EVENT_FIELDS, _VALUE, *_SOURCE_FIELDS)
"""What a column can be mapped to."""


def parse_mapping(options: Sequence[str]) -> dict[str, str]:
    """Return the mapping that `FIELD=COLUMN` options say.

    Raises:
        BackfillRefused: one is not of that form, names no field, or names one again.
    """
    mapping: dict[str, str] = {}
    for option in options:
        field, equals, column = option.partition("=")
        if not (field and equals and column):
            raise BackfillRefused(f"--column {option!r}: expected FIELD=COLUMN, such as chat_id=conversation")
        if field not in FIELDS:
            raise BackfillRefused(f"--column {option!r}: no field {field!r}; expected one of {', '.join(FIELDS)}")
        if field in mapping:
            raise BackfillRefused(f"--column {option!r}: {field} is mapped twice; expected each field once")
        mapping[field] = column
    return mapping


@dataclass(frozen=True)
class Columns:
    """Which column holds which field."""

    by_field: Mapping[str, str]

    @classmethod
    def of(cls, schema: pa.Schema, mapping: Mapping[str, str], where: str) -> Self:
        """Choose the columns of a table.

        Args:
            schema: Its columns.
            mapping: Column by field where they are not called alike.
            where: What the table is called in errors.

        Raises:
            BackfillRefused: a mapped column is not there, no column holds a chat's text, it is unclear which does, or
                one has another type than its field.
        """
        found = {field: column for field in FIELDS if (column := mapping.get(field, field)) in schema.names}
        found = {field: column for field, column in found.items() if not _is_without_values(field, column, schema)}
        if _TIMESTAMP not in found and _TIMESTAMP not in mapping and "timestamp" in schema.names:
            # What Kafka connectors and Spark's source call it.
            found |= {} if _is_without_values(_TIMESTAMP, "timestamp", schema) else {_TIMESTAMP: "timestamp"}
        for field, column in mapping.items():
            if column not in schema.names:
                raise BackfillRefused(
                    f"{where}: no column {column!r}, to which {field} is mapped; found {', '.join(schema.names)}; "
                    "correct --column"
                )
        chosen = _event_columns(found, mapping, schema, where)
        if all(field in found for field in _PLACE):
            chosen |= {field: found[field] for field in _SOURCE_FIELDS if field in found}
        _check_types(chosen, schema, where)
        return cls(chosen)

    @property
    def names(self) -> list[str]:
        """The columns that are read, each once."""
        return list(dict.fromkeys(self.by_field.values()))

    def records(self, batch: pa.RecordBatch, places: Iterable[tuple[str, int]]) -> list[ArchivedRecord]:
        """Return the records of a batch.

        Args:
            batch: Has the columns.
            places: File and position in it of each row.
        """
        values, sources = self._values(batch), self._sources(batch)
        return [
            ArchivedRecord(file, row, value, source)
            for (file, row), value, source in zip(places, values, sources, strict=True)
        ]

    def _values(self, batch: pa.RecordBatch) -> Iterator[bytes | RecordRejected | None]:
        if _VALUE in self.by_field:
            # As bytes: what is no UTF-8 is for the codec to refuse.
            yield from _column(batch, self.by_field[_VALUE]).cast(pa.binary()).to_pylist()
            return
        fields = [field for field in _EVENT_FIELDS if field in self.by_field]
        columns = [_column(batch, self.by_field[field]) for field in fields]
        try:
            rows: Iterator[tuple[Any, ...]] = zip(*map(_to_list, columns), strict=True)
            documents = list(rows)
        except UnicodeDecodeError:
            # Told for each row, so that one costs the others nothing.
            for i in range(batch.num_rows):
                yield _one_value(fields, [column.slice(i, 1) for column in columns])
            return
        for document in documents:
            yield _encoded(dict(zip(fields, document, strict=True)))

    def _sources(self, batch: pa.RecordBatch) -> list[Source | None]:
        if "topic" not in self.by_field:
            return [None] * batch.num_rows
        columns: list[list[Any]] = [_texts(_column(batch, self.by_field["topic"]))]
        columns += [_column(batch, self.by_field[field]).to_pylist() for field in ("partition", "offset")]
        times: list[int | None] = [None] * batch.num_rows
        if _TIMESTAMP in self.by_field:
            times = _milliseconds(_column(batch, self.by_field[_TIMESTAMP]))
        return [_source(*place) for place in zip(*columns, times, strict=True)]


def _event_columns(
    found: Mapping[str, str], mapping: Mapping[str, str], schema: pa.Schema, where: str
) -> dict[str, str]:
    """Return the columns of the event, in one of the two forms."""
    texts = [field for field in _TEXTS if field in found]
    if _VALUE in found and texts and (_VALUE in mapping) == any(field in mapping for field in _TEXTS):
        raise BackfillRefused(
            f"{where}: has the column {found[_VALUE]!r} and also {found[texts[0]]!r}; expected either events as JSON "
            f"or the fields of events; say which with --column value={found[_VALUE]} or "
            f"--column {texts[0]}={found[texts[0]]}"
        )
    if _VALUE in found and (_VALUE in mapping or not texts):
        return {_VALUE: found[_VALUE]}
    if "chat_id" not in found or not texts:
        missing = "chat_id" if texts else "messages"
        raise BackfillRefused(
            f"{where}: no column {missing!r}; found {', '.join(schema.names)}; expected chat_id and one of "
            f"{', '.join(_TEXTS)}, or value with events as JSON; name them with --column FIELD=COLUMN"
        )
    return {field: found[field] for field in _EVENT_FIELDS if field in found}


def _is_without_values(field: str, column: str, schema: pa.Schema) -> bool:
    """Say whether an optional field's column has nothing but nulls, which writers give a type of its own."""
    is_optional = field not in {"chat_id", _VALUE, *_TEXTS}
    return is_optional and all(pa.types.is_null(schema.field(i).type) for i in schema.get_all_field_indices(column))


def _check_types(chosen: Mapping[str, str], schema: pa.Schema, where: str) -> None:
    for field, column in chosen.items():
        n_called_so = len(schema.get_all_field_indices(column))
        if n_called_so > 1:
            raise BackfillRefused(
                f"{where}: {n_called_so} columns are called {column!r}; expected one for {field}; rename the others"
            )
        is_right, expected = _CHECKS[field]
        kind = schema.field(column).type
        if not is_right(kind):
            raise BackfillRefused(
                f"{where}: column {column!r} is {kind}; expected {expected} for {field}; convert the column, or name "
                f"another one with --column {field}=COLUMN"
            )


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    array = batch.column(name)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _to_list(array: pa.Array) -> list[Any]:
    """Return values as JSON has them, times as verdicts write theirs, without `Z` where the column has no zone.

    Raises:
        UnicodeDecodeError: a text is no UTF-8.
    """
    if pa.types.is_timestamp(array.type):
        return [None if time is None else wire_time(time) for time in _microseconds(array).to_pylist()]
    return [value.decode() if isinstance(value, bytes) else value for value in array.to_pylist()]


def _texts(array: pa.Array) -> list[str | None]:
    """Return texts; what is no UTF-8 is none."""
    values = array.cast(pa.binary()).to_pylist()
    return [None if value is None else value.decode("utf-8", "replace") for value in values]


def _microseconds(array: pa.Array) -> pa.Array:
    # Nanoseconds have no counterpart in Python's clock.
    return array.cast(pa.timestamp("us", tz=array.type.tz and "UTC"), safe=False)


def _milliseconds(array: pa.Array) -> list[int | None]:
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp("ms", tz=array.type.tz), safe=False).cast(pa.int64())
    times: list[int | None] = array.to_pylist()
    return times


def _source(topic: str | None, partition: int | None, offset: int | None, time: int | None) -> Source | None:
    """Return where a record stood; None where a part is missing or can be none."""
    if topic is None or partition is None or offset is None:
        return None
    try:
        return Source(topic=topic, partition=partition, offset=offset, timestamp_ms=-1 if time is None else time)
    except ValidationError:
        return None


def _one_value(fields: Sequence[str], columns: Sequence[pa.Array]) -> bytes | RecordRejected:
    try:
        return _encoded({field: _to_list(column)[0] for field, column in zip(fields, columns, strict=True)})
    except UnicodeDecodeError:
        return RecordRejected(
            RejectionReason.DECODE_ERROR, "a text of the row is no UTF-8; expected UTF-8; write the row again"
        )


def _encoded(document: dict[str, Any]) -> bytes | RecordRejected:
    """Return a row as the JSON that a producer would have sent."""
    messages = document.get("messages")
    if isinstance(messages, str):
        document["messages"] = orjson.Fragment(messages)
    elif messages is not None:
        document["messages"] = [_message(one) for one in messages]
    try:
        return orjson.dumps({field: value for field, value in document.items() if value is not None}, default=_plain)
    except orjson.JSONEncodeError:
        return RecordRejected(
            RejectionReason.DECODE_ERROR,
            "a value in messages has no JSON form; expected texts, numbers, lists and structs; convert the column",
        )


def _message(message: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what is read of a message. A struct has every field: where a call of tools is null, there is none."""
    if message is None:
        return None
    return {
        name: message[name]
        for name in _READ_OF_A_MESSAGE
        if name in message and (message[name] is not None or name != "tool_calls")
    }


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError(type(value).__name__)
