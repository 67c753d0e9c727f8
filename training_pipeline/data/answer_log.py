"""The answers of one annotator: an append-only file, one line per request that ended.

Invariant: a request that was answered (paid) is never sent again, whatever the answer was worth; one that failed is.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import orjson
from pydantic import BaseModel, ConfigDict, Field

from schemas.taxonomy import CHAT_13, Taxonomy
from training_pipeline.data.annotator_config import Annotator
from training_pipeline.data.label_answer import Status
from training_pipeline.data.label_prompt import rules_digest
from training_pipeline.data.paid_log import PaidLog, read_paid


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
    return read_paid(path, Answer, kind="an answer", stage="label")


class AnswerLog(PaidLog[Answer]):
    """The answers file of one annotator; a context manager.

    Args:
        path: The file; made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.paid: dict[str, Answer] = {}
        """Answered requests, by digest."""
        self.known: set[tuple[str, str]] = set()
        """(request, chat_id) of every answer that needs no other."""

    def lines(self, path: Path) -> Iterator[Answer]:
        """Yield the answers of the file in order."""
        return read_answers(path)

    def keep(self, line: Answer) -> None:
        """Take note of an answer; one that failed is asked for again."""
        if line.status is not Status.FAILED:
            self.paid.setdefault(line.request, line)
            self.known.add((line.request, line.chat_id))
