"""Read tables: CSV with any usual delimiter, quoted line breaks and a byte-order mark, and Parquet.

Values come as text; an empty field and a null are None. A row that cannot be read is yielded as such and
spoils no other.

Invariant: every row after the header is yielded exactly once, with its place in the file, but for blank lines.
"""

import csv
import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

from training_pipeline.data.errors import DataError

CSV_SUFFIXES: Final = frozenset({".csv", ".tsv", ".tab"})
PARQUET_SUFFIXES: Final = frozenset({".parquet", ".pq"})

_DELIMITERS: Final = (",", ";", "\t", "|")
_MAX_FIELD_BYTES: Final = 4_000_000
"""As much as a row of the data stages may have; the csv module's own limit is 131,072 characters."""
_BOMS: Final = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_NEVER_ENDS: Final = "unexpected end of data"
"""What the csv module says where a quote is not closed."""


class NoColumn(DataError):  # noqa: N818  the name says what happened
    """A table lacks columns that are wanted.

    Args:
        error: What was found; names the first one.
        missing: All of them.
    """

    def __init__(self, error: str, missing: Sequence[str]) -> None:
        super().__init__(error)
        self.missing = missing


class TableRow(NamedTuple):
    """One row of a table."""

    position: str
    """File and line, or file and row."""
    values: Mapping[str, str | None]
    """The wanted columns; empty where the row could not be read."""
    error: str = ""
    """Why it could not."""


def is_table(path: Path) -> bool:
    """Return whether a file's name is that of a table."""
    return path.suffix.lower() in CSV_SUFFIXES | PARQUET_SUFFIXES


def read_table(
    path: Path, columns: Sequence[str], *, delimiter: str | None = None, encoding: str | None = None
) -> Iterator[TableRow]:
    """Yield the rows of a table.

    Args:
        path: CSV or Parquet, as its suffix says.
        columns: Columns that are wanted; each must be there.
        delimiter: Of a CSV; None finds it in the header.
        encoding: Of a CSV; None: as its byte-order mark says, else UTF-8.

    Raises:
        NoColumn: it lacks a column.
        DataError: the file cannot be read, or is no table.
    """
    try:
        if path.suffix.lower() in PARQUET_SUFFIXES:
            yield from _parquet(path, columns)
        else:
            with path.open(encoding=encoding or _encoding(path), newline="") as file:
                yield from _csv(path, file, columns, delimiter)
    except LookupError as error:
        raise DataError(f"--encoding {encoding}: no such encoding; expected a name such as utf-8 or cp1252") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); expected a table, CSV or Parquet") from error


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(4)
    return next((name for bom, name in _BOMS.items() if head.startswith(bom)), "utf-8")


def _csv(path: Path, file: TextIO, columns: Sequence[str], delimiter: str | None) -> Iterator[TableRow]:
    csv.field_size_limit(_MAX_FIELD_BYTES)
    lines = _decoded(path, file)
    number, first = next(((n, line) for n, line in enumerate(lines, start=1) if line.strip()), (0, ""))
    if not number:
        raise DataError(f"{path}: is empty; expected a header with the column {columns[0]!r}, then rows")
    delimiter, header = _header(first, columns, delimiter)
    places = _places(path, header, columns)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        position = f"{path.name}:{number + reader.line_num + 1}"
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if _NEVER_ENDS in str(error):
                raise DataError(
                    f"{path.parent / position}: a quote opens in this row and never closes; close it, or double it"
                ) from error
            yield TableRow(position, {}, f"not CSV ({error}); double the quotes inside a quoted field")
            continue
        if not fields:
            continue
        if len(fields) != len(header):
            yield TableRow(position, {}, f"{len(fields)} fields; expected {len(header)}, as the header has")
            continue
        yield TableRow(position, {name: fields[place] or None for name, place in places.items()})


def _decoded(path: Path, file: TextIO) -> Iterator[str]:
    """Yield lines; a NUL is left out, which no CSV means."""
    number = 0
    try:
        for line in file:
            number += 1
            yield line.replace("\0", "")
    except UnicodeError as error:
        raise DataError(
            f"{path}: not {file.encoding} (after line {number}: {error}); name its encoding, such as --encoding cp1252 "
            "for a table from Windows, or save it as UTF-8"
        ) from error


def _header(line: str, columns: Sequence[str], delimiter: str | None) -> tuple[str, list[str]]:
    """Return the delimiter and the header's names: by the delimiter that finds the most of the wanted ones."""
    found = {}
    for candidate in _DELIMITERS if delimiter is None else (delimiter,):
        try:
            fields = next(csv.reader([line], delimiter=candidate))
        except csv.Error:
            continue
        found[candidate] = [field.strip() for field in fields]
    if not found:
        raise DataError(f"the header is not CSV: {line.strip()[:80]!r}; expected column names by comma, first line")
    wanted = set(columns)
    return max(found.items(), key=lambda item: (len(wanted & set(item[1])), len(item[1])))


def _places(path: Path, header: Sequence[str], columns: Sequence[str]) -> dict[str, int]:
    """Return the position of each wanted column.

    Raises:
        DataError: one is missing or there twice.
    """
    _require(path, header, columns)
    if twice := sorted({name for name in columns if header.count(name) > 1}):
        raise DataError(f"{path}: two columns are called {', '.join(twice)}; expected each name once; rename one")
    return {name: header.index(name) for name in columns}


def _require(path: Path, header: Collection[str], columns: Sequence[str]) -> None:
    for name in columns:
        if name in header:
            continue
        folded = {known.casefold(): known for known in header}
        near = difflib.get_close_matches(name.casefold(), folded, n=1)
        hint = f"; did you mean {folded[near[0]]!r}?" if near else ""
        error = f"{path}: no column {name!r}; found {', '.join(map(repr, header))}{hint}"
        raise NoColumn(error, [column for column in columns if column not in header])


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[TableRow]:
    import pyarrow as pa  # noqa: PLC0415  (a tenth of a second that other inputs do not need)
    from pyarrow import parquet  # noqa: PLC0415

    try:
        with parquet.ParquetFile(path) as file:
            _require(path, file.schema_arrow.names, columns)
            number = 0
            for batch in file.iter_batches(columns=list(columns)):
                for row in batch.to_pylist():
                    number += 1
                    yield _row(f"{path.name}#{number}", row)
    except pa.ArrowException as error:
        raise DataError(f"{path}: not Parquet ({error}); expected a Parquet file; write it again") from error


def _row(position: str, row: Mapping[str, Any]) -> TableRow:
    values = {}
    for name, value in row.items():
        try:
            values[name] = _text(value)
        except (TypeError, UnicodeDecodeError):
            return TableRow(position, {}, f"column {name!r} holds a {type(value).__name__}; expected text")
    return TableRow(position, values)


def _text(value: object) -> str | None:
    """Return a value as text, None for a null and for no text.

    Raises:
        TypeError: it has no text that would be meant.
        UnicodeDecodeError: bytes that are not UTF-8.
    """
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.decode() or None
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str | int | float | Decimal):
        return str(value) or None
    raise TypeError(type(value).__name__)
