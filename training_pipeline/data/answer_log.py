"""The answers of one annotator: an append-only file, one line per request that ended.

A line is written and flushed as soon as its answer is there, so a killed run loses at most the requests in flight. A
last line that was cut by the kill is removed when the file is opened again.

Invariant: a request that was answered (paid) is never sent again, whatever the answer was worth; one that failed is.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.taxonomy import CHAT_13, Taxonomy
from training_pipeline.data.annotator_config import Annotator
from training_pipeline.data.errors import DataError
from training_pipeline.data.label_answer import Status
from training_pipeline.data.label_prompt import rules_digest


class Answer(BaseModel):
    """How one request for one label ended. Holds no chat text and no text of the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: str
    """Digest of everything that was asked: model, rules, chat, options."""
    chat_id: str
    annotator: str
    status: Status
    category: str | None = None
    confidence: int | None = None
    runner_up: str | None = None
    soft_label: dict[str, float] | None = None
    has_logprobs: bool = False
    """Whether soft_label comes from log-probabilities, rather than from confidence and runner-up."""
    model: str | None = None
    """As the endpoint names it in the answer."""
    rules_digest: str
    n_input_tokens: int = Field(default=0, ge=0)
    n_output_tokens: int = Field(default=0, ge=0)
    n_attempts: int = Field(default=0, ge=0)
    latency_ms: float | None = None
    """Of the answered request, without retries and waits."""
    cost_usd: float | None = None
    error: str | None = None


def request_digest(annotator: Annotator, prompt: str, taxonomy: Taxonomy = CHAT_13) -> str:
    """Return the digest of what decides an answer; limits, prices and retries do not."""
    asked = annotator.model_dump(
        mode="json",
        include={"base_url", "model", "output", "top_logprobs", "temperature", "max_answer_tokens", "extra_body"},
    )
    text = orjson.dumps([asked, rules_digest(taxonomy), prompt], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:32]


def read_answers(path: Path) -> Iterator[Answer]:
    """Yield the answers of a file in order; a last line without an end is not one.

    Raises:
        DataError: a whole line is not an answer.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield Answer.model_validate_json(line)
            except ValidationError as error:
                raise DataError(
                    f"{path}:{number}: not an answer ({error.error_count()} problems); expected a file that `label` "
                    "wrote; move it away, or remove the line"
                ) from error


class AnswerLog:
    """The answers file of one annotator; a context manager.

    Args:
        path: The file; made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.paid: dict[str, Answer] = {}
        """Answered requests, by digest."""
        self.known: set[tuple[str, str]] = set()
        """(request, chat_id) of every answer that needs no other."""

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch()
        for answer in read_answers(self._path):
            if answer.status is not Status.FAILED:
                self.paid.setdefault(answer.request, answer)
                self.known.add((answer.request, answer.chat_id))
        self._file = self._path.open("r+b")
        self._file.truncate(whole_lines_bytes(self._path))
        self._file.seek(0, 2)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, answer: Answer) -> None:
        """Append one answer, so that it outlives this process."""
        self._file.write(answer.model_dump_json(exclude_none=True).encode() + b"\n")
        self._file.flush()
        if answer.status is not Status.FAILED:
            self.paid.setdefault(answer.request, answer)
            self.known.add((answer.request, answer.chat_id))


def whole_lines_bytes(path: Path) -> int:
    """Return the size of a file without a last line that has no end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        last = b""
        for line in file:
            last = line
    return size if last.endswith(b"\n") or not last else size - len(last)
