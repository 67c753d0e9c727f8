"""The writer's answers: an append-only file, one line per request that ended, the text included.

Rows are made of this file alone, so a run that goes on, or is repeated without an endpoint, gives the same rows.

Invariant: a request that was answered (paid) is never sent again; one that failed is, unless the endpoint refused it.
"""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from training_pipeline.data.paid_log import PaidLog, read_paid


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


class WrittenLog(PaidLog[Written]):
    """The file; as a context manager it is open for more.

    Args:
        path: The file; made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.paid: dict[str, Written] = {}
        """Requests that ended for good, by digest."""

    def lines(self, path: Path) -> Iterator[Written]:
        """Yield what the file holds in order."""
        return read_paid(path, Written, kind="a written answer", stage="synthesise")

    def keep(self, line: Written) -> None:
        """Take note of a request's end; one that failed is sent again."""
        if line.ending is not Ending.FAILED:
            self.paid.setdefault(line.request, line)
