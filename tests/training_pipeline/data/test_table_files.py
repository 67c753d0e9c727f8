from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from training_pipeline.data.errors import DataError
from training_pipeline.data.table_files import TableRow, is_table, read_table


def _rows(path: Path, *columns: str, **options: str) -> list[TableRow]:
    return list(read_table(path, columns, **options))


def _texts(path: Path, column: str = "message", **options: str) -> list[str | None]:
    return [row.values[column] for row in _rows(path, column, **options)]


def _csv(tmp_path: Path, content: bytes | str, name: str = "chats.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_says_what_the_delimiter_is(tmp_path: Path, delimiter: str) -> None:
    """Spreadsheets write what their country uses."""
    lines = [("id", "message", "label"), ("1", "hello", "a"), ("2", "bye", "b")]
    path = _csv(tmp_path, "\n".join(delimiter.join(line) for line in lines))
    assert _texts(path) == ["hello", "bye"]


def test_a_comma_inside_the_names_does_not_hide_the_delimiter(tmp_path: Path) -> None:
    """The wanted column decides, not the number of commas."""
    assert _texts(_csv(tmp_path, "a, b or c;message\nx;hello, you\n")) == ["hello, you"]


def test_a_delimiter_can_be_given(tmp_path: Path) -> None:
    """For what no header shows."""
    assert _texts(_csv(tmp_path, "id~message\n1~a,b\n"), delimiter="~") == ["a,b"]


def test_quoted_line_breaks_and_doubled_quotes_stay_in_their_field_and_lines_are_counted(tmp_path: Path) -> None:
    """Chat messages hold both; a reject must name the line that an editor shows."""
    path = _csv(tmp_path, 'message,label\r\n"one\ntwo ""quoted"", three",a\r\n\r\nlast,b\r\n')
    rows = _rows(path, "message", "label")
    assert [row.values for row in rows] == [
        {"message": 'one\ntwo "quoted", three', "label": "a"},
        {"message": "last", "label": "b"},
    ]
    assert [row.position for row in rows] == ["chats.csv:2", "chats.csv:5"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_names_the_encoding_and_is_no_part_of_the_first_name(tmp_path: Path, encoding: str) -> None:
    """Spreadsheets write it, and the first column would not be found."""
    assert _texts(_csv(tmp_path, "message\ncafé\n".encode(encoding))) == ["café"]


def test_another_encoding_is_read_when_it_is_named_and_refused_with_a_remedy_when_not(tmp_path: Path) -> None:
    """A guess would turn letters into others without a word."""
    path = _csv(tmp_path, "message\nplain\ncafé\n".encode("cp1252"))
    assert _texts(path, encoding="cp1252") == ["plain", "café"]
    with pytest.raises(DataError, match=r"not utf-8 .*0xe9.*--encoding cp1252"):
        _texts(path)
    with pytest.raises(DataError, match="--encoding klingon: no such encoding"):
        _texts(path, encoding="klingon")


def test_a_missing_column_names_those_that_are_there_and_the_nearest(tmp_path: Path) -> None:
    """The commonest mistake of a first run."""
    path = _csv(tmp_path, "Message,message_type\nx,y\n")
    with pytest.raises(
        DataError, match=r"no column 'message'; found 'Message', 'message_type'; did you mean 'Message'"
    ):
        _rows(path, "message")
    with pytest.raises(DataError, match=r"no column 'zzz'; found 'Message', 'message_type'$"):
        _rows(path, "zzz")


def test_a_name_that_two_columns_have_is_refused(tmp_path: Path) -> None:
    """Either could be meant."""
    with pytest.raises(DataError, match="two columns are called message"):
        _rows(_csv(tmp_path, "message,message\na,b\n"), "message")


def test_a_row_that_cannot_be_read_spoils_no_other(tmp_path: Path) -> None:
    """One broken line of a large export is a reject."""
    path = _csv(tmp_path, 'message,label\nfirst,a\ntoo,many,fields\n"bad"quote,b\nshort\nlast,c\n')
    rows = _rows(path, "message", "label")
    assert [row.values.get("message") for row in rows] == ["first", None, None, None, "last"]
    assert rows[1] == TableRow("chats.csv:3", {}, "3 fields; expected 2, as the header has")
    assert "double the quotes" in rows[2].error
    assert rows[4].position == "chats.csv:6"


def test_a_quote_that_never_closes_is_refused_because_it_would_swallow_the_rest(tmp_path: Path) -> None:
    """All rows after it would be one text."""
    with pytest.raises(DataError, match=r"chats.csv:3: a quote opens in this row and never closes"):
        _rows(_csv(tmp_path, 'message,label\na,b\nc,"d\ne,f\n'), "message")


@pytest.mark.parametrize("content", ["", "\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(tmp_path: Path, content: str | bytes) -> None:
    """Also one that holds nothing but a byte-order mark."""
    with pytest.raises(DataError, match="is empty; expected a header with the column 'message'"):
        _rows(_csv(tmp_path, content), "message")


def test_an_empty_field_is_none(tmp_path: Path) -> None:
    """As a null of Parquet is."""
    assert _texts(_csv(tmp_path, "message,label\n,a\n")) == [None]


def test_a_long_field_is_read(tmp_path: Path) -> None:
    """The csv module stops at 131,072 characters unless told."""
    assert _texts(_csv(tmp_path, f"message\n{'x' * 200_000}\n")) == ["x" * 200_000]


def test_parquet_is_read_with_values_as_text(tmp_path: Path) -> None:
    """Ids are numbers and times are timestamps there."""
    path = tmp_path / "chats.parquet"
    table = pa.table({"message": ["hello", None, ""], "n": [1, 2, 3], "at": pa.array([0, 1, 2], pa.timestamp("ms"))})
    parquet.write_table(table, path)
    rows = _rows(path, "message", "n", "at")
    assert rows[0] == TableRow("chats.parquet#1", {"message": "hello", "n": "1", "at": "1970-01-01T00:00:00"})
    assert [row.values["message"] for row in rows] == ["hello", None, None]


def test_parquet_values_without_a_text_are_rejected_row_by_row(tmp_path: Path) -> None:
    """A list is nobody's message."""
    path = tmp_path / "chats.parquet"
    parquet.write_table(pa.table({"message": [["a", "list"], None]}), path)
    first, second = _rows(path, "message")
    assert first.error == "column 'message' holds a list; expected text"
    assert second.values == {"message": None}


def test_what_is_called_parquet_and_is_not_is_refused(tmp_path: Path) -> None:
    """With a remedy in place of a traceback."""
    with pytest.raises(DataError, match="not Parquet"):
        _rows(_csv(tmp_path, "message\nx\n", "chats.parquet"), "message")
    path = tmp_path / "real.parquet"
    parquet.write_table(pa.table({"text": ["a"]}), path)
    with pytest.raises(DataError, match="no column 'message'; found 'text'"):
        _rows(path, "message")


def test_the_suffix_says_what_a_table_is() -> None:
    """Records and tables share an option."""
    names = ["a.csv", "a.TSV", "a.parquet", "a.jsonl", "a.json", "csv"]
    assert [is_table(Path(name)) for name in names] == [True, True, True, False, False, False]
