"""Read classes, descriptions and examples as the command line gives them: `NAME: TEXT`, and files of examples."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import orjson

CLASS_COLUMNS: Final = ("class", "label", "category", "message_type")
TEXT_COLUMNS: Final = ("text", "message", "content")

_JSON_SUFFIXES: Final = frozenset({".jsonl", ".json"})
_MOST_CELL_CHARACTERS: Final = 1_000_000
_DELIMITERS: Final = (",", ";", "\t", "|")


def descriptions_of(options: Iterable[str]) -> dict[str, str]:
    """Return descriptions by class.

    Args:
        options: `NAME: DESCRIPTION` each.

    Raises:
        ValueError: one has no name or no description, or a class is there twice.
    """
    found: dict[str, str] = {}
    for option in options:
        name, description = _pair("--class", option)
        if name in found:
            raise ValueError(f"--class {name!r} is there twice; expected each class once; join its descriptions")
        found[name] = description
    return found


def examples_of(options: Iterable[str]) -> list[tuple[str, str]]:
    """Return class and text of each `NAME: TEXT`.

    Raises:
        ValueError: one has no name or no text.
    """
    return [_pair("--example", option) for option in options]


def examples_in(path: Path) -> list[tuple[str, str]]:
    """Return class and text of each row of a table, or of each chat of a file of JSON lines.

    Args:
        path: CSV, by comma, semicolon, tab or |, with a header that names a column of `CLASS_COLUMNS` and one of
            `TEXT_COLUMNS`; or JSON lines as `synthesise` and `train` have them, of which the last user message is read.

    Raises:
        ValueError: it cannot be read, lacks a column, holds no row, or a row lacks its class or its text.
    """
    rows = list(_chats_in(path) if path.suffix.lower() in _JSON_SUFFIXES else _rows_in(path))
    if not rows:
        raise ValueError(f"{path}: holds no example; expected at least one row below the header")
    return rows


def _pair(option_name: str, option: str) -> tuple[str, str]:
    name, colon, text = option.partition(":")
    if not (colon and name.strip() and text.strip()):
        raise ValueError(
            f'{option_name} {option[:60]!r}: expected "NAME: TEXT", such as "dog: Dogs are social animals"'
        )
    return name.strip(), text.strip()


def _rows_in(path: Path) -> Iterator[tuple[str, str]]:
    try:
        csv.field_size_limit(_MOST_CELL_CHARACTERS)
        with path.open(encoding="utf-8-sig", newline="") as lines:
            delimiter = _delimiter(lines.readline())
            lines.seek(0)
            reader = csv.DictReader(lines, delimiter=delimiter, strict=True)
            header = reader.fieldnames or []
            class_column, text_column = _column(path, header, CLASS_COLUMNS), _column(path, header, TEXT_COLUMNS)
            for row in reader:
                yield _filled(path, reader.line_num, row.get(class_column), row.get(text_column))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); expected a CSV file with a header") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error
    except csv.Error as error:
        raise ValueError(
            f"{path}: not CSV ({error}); expected one delimiter between cells, and quotes around cells that hold it"
        ) from error


def _delimiter(header: str) -> str:
    """Return the delimiter by which the header names the most wanted columns; a comma where none does."""

    def n_found(delimiter: str) -> int:
        names = next(csv.reader([header], delimiter=delimiter), [])
        return sum(name.strip().lower() in {*CLASS_COLUMNS, *TEXT_COLUMNS} for name in names)

    return max(_DELIMITERS, key=n_found)


def _column(path: Path, header: Iterable[str], wanted: tuple[str, ...]) -> str:
    by_lower = {name.strip().lower(): name for name in header if name is not None}
    found = [by_lower[name] for name in wanted if name in by_lower]
    if len(found) != 1:
        raise ValueError(
            f"{path}: the header is {', '.join(map(repr, header)) or 'empty'}; expected one of {', '.join(wanted)}; "
            "rename a column"
        )
    return found[0]


def _filled(path: Path, line: int, name: str | None, text: str | None) -> tuple[str, str]:
    if not (name and name.strip()) or not (text and text.strip()):
        raise ValueError(
            f"{path}, line {line}: class {name!r} and text {(text or '')[:40]!r}; expected both; fill it in"
        )
    return name.strip(), text


def _chats_in(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _chat(path, number, line)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); expected JSON lines") from error


def _chat(path: Path, number: int, line: bytes) -> tuple[str, str]:
    try:
        chat = orjson.loads(line)
        texts = [message["content"] for message in chat["messages"] if message["role"] == "user"]
        name = chat["category"]
        if isinstance(name, str) and texts and isinstance(texts[-1], str):
            return _filled(path, number, name, texts[-1])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}, line {number}: not a labelled chat ({type(error).__name__}: {error}); expected an object with "
            "category and messages"
        ) from error
    raise ValueError(f"{path}, line {number}: expected a category and a user message with text; fix or drop the line")
