"""Columns of an archive become the JSON that a producer would have sent, or a refusal that says what to do."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
import pytest

from model.backfill.archive_judge import ArchivedRecord
from model.backfill.columns import Columns, parse_mapping
from model.backfill.errors import BackfillRefused
from schemas import CodecLimits, RecordRejected, Source, decode_conversation


def records(table: pa.Table, **mapping: str) -> list[ArchivedRecord]:
    """Return the records of a table."""
    batch = table.combine_chunks().to_batches()[0]
    columns = Columns.of(table.schema, mapping, "in.parquet")
    return columns.records(batch.select(columns.names), [("in.parquet", i) for i in range(batch.num_rows)])


def documents(table: pa.Table, **mapping: str) -> list[Any]:
    """Return what the records of a table say."""
    return [orjson.loads(one.value) for one in records(table, **mapping) if isinstance(one.value, bytes)]


def test_fields_of_an_event_are_columns_and_other_columns_are_not_read() -> None:
    """Messages as structs, with fields that nobody reads."""
    message = {"id": 1, "role": "user", "content": "hi", "createdAt": datetime(2026, 1, 1, tzinfo=UTC)}
    table = pa.table({"chat_id": ["c"], "messages": [[message]], "event_id": [7], "blob": [b"\xff"]})
    assert documents(table) == [{"chat_id": "c", "messages": [{"role": "user", "content": "hi"}], "event_id": 7}]


def test_a_call_of_tools_needs_no_content_and_a_message_without_one_has_none() -> None:
    """A struct has every field in every row, so a null stands for a field that is not there."""
    calls = [{"role": "assistant", "content": None, "tool_calls": [{"name": "f"}]}]
    asks = [{"role": "user", "content": "hi", "tool_calls": None}, *calls]
    (value,) = [one.value for one in records(pa.table({"chat_id": ["c"], "messages": [asks]}))]
    assert isinstance(value, bytes)
    event, _ = decode_conversation(value, CodecLimits())
    assert [message.tool_calls for message in event.messages] == [False, True]


def test_contents_may_be_lists_of_parts_and_messages_may_be_json_text() -> None:
    """Both forms are what upstream writes into a table."""
    parts = [{"type": "text", "text": "hi"}, {"type": "image_url", "text": None}]
    nested = pa.table({"chat_id": ["c"], "messages": [[{"role": "user", "content": parts}]]})
    text = pa.table({"chat_id": ["c"], "messages": ['[{"role":"user","content":"hi"}]']})
    turns = [decode_conversation(one.value, CodecLimits())[1] for one in (*records(nested), *records(text))]  # type: ignore[arg-type]
    assert turns[0] == turns[1]


@pytest.mark.parametrize(
    "texts",
    [
        pa.array(["hi"]),
        pa.array(["hi"], pa.large_string()),
        pa.array([b"hi"], pa.binary()),
        pa.array(["hi"]).dictionary_encode(),
    ],
)
def test_a_text_may_be_of_every_type_that_writers_choose(texts: pa.Array) -> None:
    """Spark, Impala and pandas each have their own."""
    assert documents(pa.table({"chat_id": texts, "query": texts})) == [{"chat_id": "hi", "query": "hi"}]


def test_a_time_is_written_as_verdicts_write_theirs() -> None:
    """The same moment is the same text, whatever unit and zone a writer chose."""
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    times = [pa.array([when], pa.timestamp(unit, "Europe/Berlin")) for unit in ("s", "ms", "us", "ns")]
    found = [documents(pa.table({"chat_id": ["c"], "query": ["hi"], "occurred_at": one})) for one in times]
    assert [one[0]["occurred_at"] for one in found] == ["2026-01-02T03:04:05.000000Z"] * len(times)


def test_values_are_passed_on_to_the_byte_and_name_their_source() -> None:
    """What is no UTF-8, or nothing at all, is for the codec to refuse."""
    table = pa.table(
        {
            "value": pa.array([b"\xff", None], pa.binary()),
            "topic": ["t", "t"],
            "partition": [1, None],
            "offset": [5, 6],
            "timestamp": pa.array([1_700_000_000_123, 0], pa.timestamp("ms")),
        }
    )
    first, second = records(table)
    assert first == ArchivedRecord(
        "in.parquet", 0, b"\xff", Source(topic="t", partition=1, offset=5, timestamp_ms=1_700_000_000_123)
    )
    assert second == ArchivedRecord("in.parquet", 1, None, None)


def test_a_text_that_is_no_utf_8_costs_its_own_row_alone() -> None:
    """Arrow tells it for a whole column."""
    buffer = pa.array([b"ok", b"\xff", b"fine"], pa.binary()).view(pa.string())
    values = [one.value for one in records(pa.table({"chat_id": ["a", "b", "c"], "query": buffer}))]
    assert [isinstance(value, RecordRejected) for value in values] == [False, True, False]
    assert "UTF-8" in str(values[1])


def test_an_optional_column_that_holds_nothing_but_nulls_is_a_field_that_is_not_there() -> None:
    """Writers that infer types give such a column one of its own; no value of it is wrong."""
    optional = ("event_id", "occurred_at", "schema_version", "topic", "partition", "offset", "timestamp")
    table = pa.table({"chat_id": ["c"], "query": ["hi"]} | {name: pa.nulls(1) for name in optional})
    (record,) = records(table)
    assert documents(table) == [{"chat_id": "c", "query": "hi"}]
    assert record.source is None
    with pytest.raises(BackfillRefused, match="column 'query' is null; expected text"):
        records(pa.table({"chat_id": ["c"], "query": pa.nulls(1)}))


def test_two_columns_of_one_name_are_refused_where_one_is_read() -> None:
    """Arrow allows them; nobody can tell which of them was meant."""
    columns = [pa.array(["a"]), pa.array(["b"]), pa.array(["hi"])]
    twice = pa.Table.from_arrays(columns, names=["chat_id", "chat_id", "query"])
    with pytest.raises(BackfillRefused, match="2 columns are called 'chat_id'; expected one for chat_id"):
        Columns.of(twice.schema, {}, "in.parquet")
    unread = pa.Table.from_arrays([*columns[:1], *columns], names=["x", "x", "chat_id", "query"])
    assert documents(unread) == [{"chat_id": "b", "query": "hi"}]


def test_columns_of_other_names_are_mapped() -> None:
    """The usual case: a table of somebody else's."""
    table = pa.table({"conversation": ["c"], "text": ["hi"], "chat_id": [1]})
    assert documents(table, chat_id="conversation", query="text") == [{"chat_id": "c", "query": "hi"}]


@pytest.mark.parametrize(
    ("table", "mapping", "said"),
    [
        ({"chat_id": ["c"]}, {}, "no column 'messages'"),
        ({"query": ["hi"]}, {}, "no column 'chat_id'"),
        ({"chat_id": [1], "query": ["hi"]}, {}, "column 'chat_id' is int64; expected text"),
        ({"chat_id": ["c"], "messages": [[1]]}, {}, "expected a list of structs"),
        ({"chat_id": ["c"], "query": ["hi"]}, {"query": "text"}, "no column 'text', to which query is mapped"),
        ({"value": ["{}"], "chat_id": ["c"], "query": ["hi"]}, {}, "say which with --column value=value"),
        ({"value": [1]}, {}, "column 'value' is int64"),
    ],
)
def test_a_table_that_is_no_archive_of_chats_is_refused_with_the_remedy(
    table: dict[str, Any], mapping: dict[str, str], said: str
) -> None:
    """Before anything is judged, and not row by row."""
    with pytest.raises(BackfillRefused, match=said):
        Columns.of(pa.table(table).schema, mapping, "in.parquet")


@pytest.mark.parametrize("option", ["chat_id", "=x", "chat_id=", "nothing=x"])
def test_a_mapping_that_names_no_field_is_refused(option: str) -> None:
    """A typo would leave the column unread."""
    with pytest.raises(BackfillRefused, match="expected"):
        parse_mapping([option])


def test_a_field_is_mapped_once() -> None:
    """Which of two was meant, nobody knows."""
    assert parse_mapping(["chat_id=a", "query=b"]) == {"chat_id": "a", "query": "b"}
    with pytest.raises(BackfillRefused, match="twice"):
        parse_mapping(["chat_id=a", "chat_id=b"])
