"""The writer's answers: an append-only file, one line per request that ended, the text included.

Rows are made of this file alone, so a run that goes on, or is repeated without an endpoint, gives the same rows.

Invariant: a request that was answered (paid) is never sent again; one that failed is, unless the endpoint refused it.
"""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training_pipeline.data.answer_log import whole_lines_bytes
from training_pipeline.data.errors import DataError


class Ending(StrEnum):
    """How a request for one conversation ended."""

    TEXT = "text"
    """The model wrote something; whether it is a conversation is decided anew each time it is read."""
    TRUNCATED = "truncated"
    REFUSAL = "refusal"
    """The model declined, or the provider filtered."""
    NOT_TAKEN = "not_taken"
    """The endpoint refused this very request, and will again."""
    FAILED = "failed"
    """No answer after all attempts; asked again in the next run."""


class Written(BaseModel):
    """One request's end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: str
    """Digest of everything that was asked."""
    cell: str
    ending: Ending
    text: str | None = None
    model: str | None = None
    """As the endpoint names it."""
    n_input_tokens: int = Field(default=0, ge=0)
    n_output_tokens: int = Field(default=0, ge=0)
    n_attempts: int = Field(default=0, ge=0)
    cost_usd: float | None = None
    error: str | None = None


def read_written(path: Path) -> Iterator[Written]:
    """Yield the lines of a file in order; a last line without an end is not one.

    Raises:
        DataError: a whole line is of another form.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield Written.model_validate_json(line)
            except ValidationError as error:
                raise DataError(
                    f"{path}:{number}: not a written answer ({error.error_count()} problems); expected a file that "
                    "`synthesise` wrote; move it away, or remove the line"
                ) from error


class WrittenLog:
    """The file; as a context manager it is open for more.

    Args:
        path: The file; made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.paid: dict[str, Written] = {}
        """Requests that ended for good, by digest."""

    def read(self) -> None:
        """Read what is there; the file need not exist."""
        if self._path.exists():
            for written in read_written(self._path):
                self._keep(written)

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch()
        self.read()
        self._file = self._path.open("r+b")
        self._file.truncate(whole_lines_bytes(self._path))
        self._file.seek(0, 2)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, written: Written) -> None:
        """Append one line, so that it outlives this process."""
        self._file.write(written.model_dump_json(exclude_none=True).encode() + b"\n")
        self._file.flush()
        self._keep(written)

    def _keep(self, written: Written) -> None:
        if written.ending is not Ending.FAILED:
            self.paid.setdefault(written.request, written)
