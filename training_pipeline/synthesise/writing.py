"""Have the writer write cells: an answer that is no conversation is asked for again, with the reason, a few times.

Invariant: what a cell comes to is read from the log alone, so it is the same whenever and however often a run was
interrupted.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from schemas.taxonomy import Taxonomy
from training_pipeline.data.asking import Asking
from training_pipeline.data.chat_completions import Reply
from training_pipeline.synthesise.brief import Brief, Writer
from training_pipeline.synthesise.grid import Cell
from training_pipeline.synthesise.writer_prompt import ask_for, writer_task, written_request
from training_pipeline.synthesise.written_chat import Messages, NotAChat, parse_chat
from training_pipeline.synthesise.written_log import Ending, Written, WrittenLog

_TOO_LONG = "it was cut off at the token limit; write it shorter"


class Drop(StrEnum):
    """Why a conversation that was asked for is not written; the codec's reasons come on top."""

    REFUSAL = "refusal"
    BAD_ANSWER = "bad_answer"
    """No attempt gave a conversation of this cell."""
    NOT_TAKEN = "not_taken"
    """The endpoint refused the request itself."""
    SECRET = "secret"  # noqa: S105  no password
    SPEAKS_TO_LABELLER = "speaks_to_labeller"
    NEAR_DUPLICATE = "near_duplicate"
    NEAR_AVOIDED = "near_avoided"
    """It resembles a chat of --avoid."""
    OTHER_CLASS = "other_class"
    """The judge names another category."""
    NOT_JUDGED = "not_judged"
    """The judge refused, or gave no label."""


class Draft(NamedTuple):
    """A conversation as its writer wrote it."""

    cell: Cell
    messages: Messages
    written: Written


class Dropped(NamedTuple):
    """A cell that comes to nothing."""

    cell: Cell
    reason: str
    error: str


class Missing(NamedTuple):
    """A cell that still needs an answer."""

    cell: Cell
    prompt: str
    request: str


class WriterAccount(BaseModel):
    """What the writer did and cost in one run."""

    model_config = ConfigDict(extra="forbid")

    writer: str
    n_requests_by_ending: Counter[str] = Counter()
    n_attempts: int = 0
    n_input_tokens: int = 0
    n_output_tokens: int = 0
    cost_usd: float | None = None
    stopped: str | None = None
    """Why it did not get through all cells."""

    def add(self, written: Written) -> None:
        """Count one request of this run."""
        self.n_requests_by_ending[written.ending.value] += 1
        self.n_attempts += written.n_attempts
        self.n_input_tokens += written.n_input_tokens
        self.n_output_tokens += written.n_output_tokens
        if written.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + written.cost_usd


class Writing:
    """A writer at work on the cells of one brief.

    Args:
        brief: What to write.
        taxonomy: Whose categories.
        writer: Who writes.
        log: What was written so far.
        n_attempts: Requests for one conversation at most.
    """

    def __init__(self, brief: Brief, taxonomy: Taxonomy, writer: Writer, log: WrittenLog, *, n_attempts: int) -> None:
        self._brief = brief
        self._taxonomy = taxonomy
        self._writer = writer
        self._log = log
        self._n_attempts = n_attempts
        self.task = writer_task(taxonomy, brief)
        self.account = WriterAccount(writer=writer.name)

    def read(self, cell: Cell) -> Draft | Dropped | Missing:
        """Return what the log says of a cell."""
        refused: str | None = None
        for attempt in range(self._n_attempts):
            prompt = ask_for(cell, self._taxonomy, self._brief, refused=refused)
            request = written_request(self._writer, self.task, prompt, attempt)
            written = self._log.paid.get(request)
            if written is None:
                return Missing(cell, prompt, request)
            if written.ending is Ending.REFUSAL:
                return Dropped(cell, Drop.REFUSAL.value, "the model or its provider declined")
            if written.ending is Ending.NOT_TAKEN:
                return Dropped(cell, Drop.NOT_TAKEN.value, written.error or "the endpoint refused the request")
            if written.ending is Ending.TRUNCATED:
                refused = _TOO_LONG
                continue
            try:
                return Draft(cell, parse_chat(written.text or "", cell, self._brief.labelled), written)
            except NotAChat as error:
                refused = error.found
        return Dropped(cell, Drop.BAD_ANSWER.value, f"{self._n_attempts} answers were of no use, the last: {refused}")

    async def write(self, cells: Sequence[Cell], asking: Asking, on_done: Callable[[], None]) -> None:
        """Ask for what the log has not, until all cells are read or the endpoint may not be asked any more."""
        queue = iter(cells)
        await asking.run(lambda: self._work(queue, asking, on_done))
        self.account.stopped = asking.stopped

    async def _work(self, queue: Iterator[Cell], asking: Asking, on_done: Callable[[], None]) -> None:
        for cell in queue:
            while isinstance(found := self.read(cell), Missing):
                reply = await asking.ask(found.prompt) if asking.may_go_on() else None
                if reply is None:
                    return
                written = self._written(found, reply)
                self._log.add(written)
                self.account.add(written)
                if written.ending is Ending.FAILED:
                    break
            on_done()

    def _written(self, missing: Missing, reply: Reply) -> Written:
        return Written(
            request=missing.request,
            cell=missing.cell.position,
            ending=_ending(reply),
            text=reply.text,
            model=reply.model,
            n_input_tokens=reply.n_input_tokens,
            n_output_tokens=reply.n_output_tokens,
            n_attempts=reply.n_attempts,
            cost_usd=self._writer.cost_usd(reply.n_input_tokens, reply.n_output_tokens),
            error=reply.failure,
        )


def _ending(reply: Reply) -> Ending:
    if reply.failure is not None:
        return Ending.NOT_TAKEN if reply.is_final else Ending.FAILED
    if reply.refused:
        return Ending.REFUSAL
    return Ending.TRUNCATED if reply.truncated else Ending.TEXT
