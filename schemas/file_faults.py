"""Where in a TOML file a fault is, and which name was meant: what `tomllib` and pydantic do not tell.

For files that a person writes: settings, policies. Nothing here quotes a value, since the file may hold a secret, or be
another file than was meant.
"""

import difflib
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_LONGEST_NAME: Final = 64
_AT_LINE: Final = re.compile(r"\(at line (?P<line>\d+), column \d+\)$")
"""How `tomllib` ends a message, unless the fault is at the end of the file."""


@dataclass(frozen=True)
class TomlFile:
    """A file that was read.

    Args:
        path: The file.
        values: What it says.
        lines: The line on which each key stands, from 1 on, by the key's whole path.
    """

    path: Path
    values: Mapping[str, Any]
    lines: Mapping[tuple[str, ...], int] = field(default_factory=dict)

    def place(self, key: tuple[str, ...]) -> str:
        """Return `file:line` of a key, without the line where it is unknown."""
        line = self.lines.get(key)
        return str(self.path) if line is None else f"{self.path}:{line}"


def read_toml(path: Path) -> TomlFile:
    """Read a TOML file, as `parse_toml` does."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: not a readable TOML file ({error.strerror}); expected a file in TOML") from None
    return parse_toml(path, raw)


def parse_toml(path: Path, raw: bytes) -> TomlFile:
    """Read what a TOML file holds; a byte order mark, which some editors write, is passed over.

    Args:
        path: The file, for messages.
        raw: What it holds.

    Raises:
        ValueError: it is not TOML. The text names the file and the line, and quotes no value.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: not a readable TOML file (not UTF-8 at byte {error.start}); save it as UTF-8"
        ) from None
    try:
        return TomlFile(path, tomllib.loads(text), _lines(text)[0])
    except RecursionError:
        raise ValueError(f"{path}: not a readable TOML file (nested too deeply); expected settings alone") from None
    except ValueError as error:
        found = _AT_LINE.search(str(error))
        line = found["line"] if found else _lines(text)[1]
        cause = str(error)[: found.start()] if found else str(error)
        raise ValueError(f"{path}:{line}: not a readable TOML file: {cause.strip()}") from None


def meant(name: str, known: Collection[str]) -> str:
    """Return `; did you mean …?` with the known name that is the nearest, or nothing where none is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def shown_name(name: object) -> str:
    """Return a name from a file or a variable as a message shows it: on one line, and not without end."""
    text = str(name)
    shown = text if text.isprintable() else repr(text)[1:-1]
    return shown if len(shown) <= _LONGEST_NAME else f"{shown[:_LONGEST_NAME]}…"


def _lines(text: str) -> tuple[dict[tuple[str, ...], int], int]:
    """Return the line of each key by the key's whole path, and the line on which a statement begins that never ends.

    Statements are told apart by the parser itself: one ends where what was read of it parses, so that a line inside a
    text of several lines passes for no key. Of several occurrences the first counts.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    found: dict[tuple[str, ...], int] = {}
    header, start = "", 0
    for end in range(1, len(lines) + 1):
        statement = "\n".join(lines[start:end])
        is_header = statement.lstrip().startswith("[")
        try:
            values = tomllib.loads(statement if is_header else f"{header}\n{statement}")
        except ValueError:
            continue
        header = statement if is_header else header
        for path in _paths(values):
            found.setdefault(path, start + 1)
        start = end
    return found, start + 1


def _paths(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in values.items():
        path = (*above, name)
        yield path
        if isinstance(value, dict):
            yield from _paths(value, path)
