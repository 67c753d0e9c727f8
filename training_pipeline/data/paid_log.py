"""An append-only file of requests that ended, one line each: what `label` and `synthesise` paid for.

A line is written and flushed as soon as its answer is there, so a killed run loses at most the requests in flight. A
last line that was cut by the kill is removed when the file is opened again.

Invariant: a line that was added is read again by every later run.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, Self, TypeVar

from pydantic import BaseModel, ValidationError

from training_pipeline.data.errors import DataError

Line = TypeVar("Line", bound=BaseModel)


def read_paid(path: Path, form: type[Line], *, kind: str, stage: str) -> Iterator[Line]:
    """Yield the lines of a file in order; a last line without an end is not one.

    Args:
        path: The file.
        form: Of a line.
        kind: What a line is, for the error.
        stage: The command that writes such files, for the error.

    Raises:
        DataError: a whole line is of another form.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield form.model_validate_json(line)
            except ValidationError as error:
                raise DataError(
                    f"{path}:{number}: not {kind} ({error.error_count()} problems); expected a file that `{stage}` "
                    "wrote; move it away, or remove the line"
                ) from error


class PaidLog(ABC, Generic[Line]):
    """The file; as a context manager it is open for more.

    Args:
        path: The file; made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @abstractmethod
    def lines(self, path: Path) -> Iterator[Line]:
        """Yield the lines of the file in order."""

    @abstractmethod
    def keep(self, line: Line) -> None:
        """Take note of a line that is in the file."""

    def read(self) -> None:
        """Read what is there; the file need not exist."""
        if self._path.exists():
            for line in self.lines(self._path):
                self.keep(line)

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch()
        self.read()
        self._file = self._path.open("r+b")
        self._file.truncate(_whole_lines_bytes(self._path))
        self._file.seek(0, 2)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, line: Line) -> None:
        """Append one line, so that it outlives this process."""
        self._file.write(line.model_dump_json(exclude_none=True).encode() + b"\n")
        self._file.flush()
        self.keep(line)


def _whole_lines_bytes(path: Path) -> int:
    """Return the size of a file without a last line that has no end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        last = b""
        for line in file:
            last = line
    return size if last.endswith(b"\n") or not last else size - len(last)
