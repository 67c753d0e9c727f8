"""Read raw records from files: a JSON list, or JSON lines.

A list is cut into its elements by a scan over the bytes that only knows strings and brackets, so each record reaches
the codec as it stands (duplicate keys, depth and all), memory stays flat, and a bad record spoils no other one as long
as its brackets and quotes are balanced.

Invariant: every element or non-blank line is yielded exactly once, with the number it has from 1.
"""

import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from training_pipeline.data.errors import DataError

_BOM: Final = b"\xef\xbb\xbf"
_STRUCTURE: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},]', re.DOTALL)
_BLANK: Final = b" \t\r\n"


class FileRecord(NamedTuple):
    """One record of a file."""

    number: int
    raw: bytes
    end_bytes: int
    """Bytes of the file read so far."""


def read_records(path: Path) -> Iterator[FileRecord]:
    """Yield the records of one file.

    Raises:
        DataError: the file cannot be read, or a list in it does not end.
    """
    try:
        if path.stat().st_size == 0:
            return
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            start = len(_BOM) if data[: len(_BOM)] == _BOM else 0
            while start < len(data) and data[start] in _BLANK:
                start += 1
            yield from _elements(data, start, path) if data[start : start + 1] == b"[" else _lines(data, start)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); expected records.json or JSON lines") from error


def _lines(data: mmap.mmap, start: int) -> Iterator[FileRecord]:
    data.seek(start)
    number = 0
    while line := data.readline():
        number += 1
        if raw := line.strip(_BLANK):
            yield FileRecord(number, raw, data.tell())


def _elements(data: mmap.mmap, start: int, path: Path) -> Iterator[FileRecord]:
    depth = 0
    number = 0
    begin = start + 1
    for match in _STRUCTURE.finditer(data, start):
        token = match[0]
        if token in (b"[", b"{"):
            depth += 1
        elif token in (b"]", b"}"):
            depth -= 1
        if (token == b"," and depth == 1) or depth == 0:
            raw = data[begin : match.start()].strip(_BLANK)
            if raw or depth == 1:  # an empty list, and a list that ends in a comma, have no last element
                number += 1
                yield FileRecord(number, raw, match.end())
            begin = match.end()
        if depth == 0:
            _refuse_text_after_list(data, begin, path)
            return
    raise DataError(
        f"{path}: the list does not end (after {number} whole records); expected a closing bracket; "
        "write the file again, or cut it after the last whole record and close the list"
    )


def _refuse_text_after_list(data: mmap.mmap, begin: int, path: Path) -> None:
    rest = data[begin : begin + 4096].strip(_BLANK)
    if rest:
        raise DataError(
            f"{path}: text follows the list at byte {begin}; expected one list, or one JSON object per line"
        )
