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

Key = tuple[str, ...]
"""Where a value stands: `("kafka", "group_id")` is `group_id` under `[kafka]`."""

_LONGEST_NAME: Final = 64
_MOST_LINES: Final = 500
"""Lines of one statement that are looked through: the time is the square of their number."""
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
    lines: Mapping[Key, int] = field(default_factory=dict)

    def place(self, key: Key) -> str:
        """Return `file:line` of a key, without the line where it is unknown."""
        line = self.lines.get(key)
        return str(self.path) if line is None else f"{self.path}:{line}"

    def without_empty(self) -> dict[str, Any]:
        """Return what the file says, empty texts left out: TOML has no other way to say that something is not set."""
        return _without_empty(self.values)

    def truths(self) -> list[Key]:
        """Return the keys of what is true or false, which pydantic takes for the numbers 1 and 0."""
        return [key for key, value in _items(self.values) if isinstance(value, bool)]


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


def unknown_keys(file: TomlFile, known: Collection[Key], *, prefix: str) -> Iterator[str]:
    """Yield one line for each key of a file of settings that is no setting, with the one that was meant.

    Args:
        file: What was read.
        known: All settings; a longer key stands in a section.
        prefix: What precedes a setting's name in the environment, where the key may have been copied from.
    """
    sections = {key[0] for key in known if len(key) > 1}
    for name, value in file.values.items():
        unknown: list[Key] = []
        if name in sections and isinstance(value, Mapping):
            unknown = [(name, inner) for inner in value if (name, inner) not in known]
        elif name in sections:
            yield f"{file.place((name,))}: {name}: expected a section, [{name}], with settings under it"
            continue
        elif (name,) not in known:
            unknown = [(name,)]
        for key in unknown:
            shown = ".".join(map(shown_name, key))
            yield f"{file.place(key)}: {shown}: no such setting{_meant_key(key, known, prefix)}"


def _meant_key(key: Key, known: Collection[Key], prefix: str) -> str:
    """Return the suggestion for a key: the same name under another section or as a variable, or a near one."""
    name = ".".join(key).lower().removeprefix(prefix.lower()).replace("__", ".")
    dotted = [".".join(one) for one in known]
    same = [one for one in dotted if one == name or one.rpartition(".")[2] == name.rpartition(".")[2]]
    if len(same) == 1:
        return f"; did you mean {same[0]}?"
    sections = dict.fromkeys(f"[{one[0]}]" for one in known if len(one) > 1)
    return (meant(f"[{key[0]}]", sections) if len(key) == 1 else "") or meant(name, dotted)


def meant(name: str, known: Collection[str]) -> str:
    """Return `; did you mean …?` with the known name that is the nearest, or nothing where none is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def shown_name(name: object) -> str:
    """Return a name from a file or a variable as a message shows it: on one line, and not without end."""
    text = str(name)
    shown = text if text.isprintable() else repr(text)[1:-1]
    return shown if len(shown) <= _LONGEST_NAME else f"{shown[:_LONGEST_NAME]}…"


def _lines(text: str) -> tuple[dict[Key, int], int]:
    """Return the line of each key by the key's whole path, and the line on which a statement begins that never ends.

    Statements are told apart by the parser itself: one ends where what was read of it parses, so that a line inside a
    text of several lines passes for no key. Of several occurrences the first counts.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    found: dict[Key, int] = {}
    header, start = "", 0
    for end in range(1, len(lines) + 1):
        if end - start > _MOST_LINES:
            # What follows is shown without its line.
            break
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


def _paths(values: Mapping[str, Any]) -> Iterator[Key]:
    yield from (key for key, _ in _items(values))


def _items(values: Mapping[str, Any], above: Key = ()) -> Iterator[tuple[Key, Any]]:
    for name, value in values.items():
        yield (*above, name), value
        if isinstance(value, Mapping):
            yield from _items(value, (*above, name))


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_empty(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
        if value != ""
    }
