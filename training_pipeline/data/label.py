"""Have every annotator label every chat: bounded concurrency, resumable, with an account of tokens and money.

Invariant: each (annotator, chat) ends as one line of the annotator's answers file, unless the run was stopped; an
answer that is no label is an abstention and never a category.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from schemas.taxonomy import CHAT_13, Taxonomy
from training_pipeline.data.annotator_config import Annotator
from training_pipeline.data.answer_log import Answer, AnswerLog, request_digest
from training_pipeline.data.asking import Asking, Budget
from training_pipeline.data.chat_completions import Reply
from training_pipeline.data.chat_rows import ChatRow
from training_pipeline.data.label_answer import (
    NotALabel,
    Status,
    parse_answer,
    soft_label_from_tokens,
    soft_label_of,
)
from training_pipeline.data.label_prompt import label_task, quote_chat, rules_digest

OnAnswer = Callable[[str, int], None]
"""Called with an annotator's name and how many of its chats are done."""


class AnnotatorAccount(BaseModel):
    """What one annotator did and cost in one run."""

    model_config = ConfigDict(extra="forbid")

    annotator: str
    n_chats: int
    n_reused: int = 0
    """Answered by an earlier run, or for another chat with the same text: not asked again."""
    n_by_status: Counter[str] = Counter()
    n_attempts: int = 0
    n_input_tokens: int = 0
    n_output_tokens: int = 0
    cost_usd: float | None = None
    stopped: str | None = None
    """Why it did not get through all chats."""

    @property
    def n_left(self) -> int:
        """Chats that still have no answer."""
        return self.n_chats - self.n_reused - sum(self.n_by_status.values()) + self.n_by_status[Status.FAILED.value]

    def add(self, answer: Answer) -> None:
        """Count one answer of this run."""
        self.n_by_status[answer.status.value] += 1
        self.n_attempts += answer.n_attempts
        self.n_input_tokens += answer.n_input_tokens
        self.n_output_tokens += answer.n_output_tokens
        if answer.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + answer.cost_usd


def label(
    rows: Sequence[ChatRow],
    annotators: Sequence[Annotator],
    api_keys: Mapping[str, str | None],
    out: Path,
    *,
    taxonomy: Taxonomy = CHAT_13,
    max_cost_usd: float | None = None,
    budget: Budget | None = None,
    on_answer: OnAnswer | None = None,
) -> list[AnnotatorAccount]:
    """Label all chats with all annotators.

    Args:
        rows: The chats.
        annotators: Whom to ask.
        api_keys: Key of each annotator, by its name.
        out: Folder of the answers files, `<annotator>.jsonl`; what is in them is not asked again.
        taxonomy: Whose categories they choose from.
        max_cost_usd: Stop sending when this run has cost so much; every annotator then needs prices.
        budget: In place of it, money that is shared with other work.
        on_answer: For a progress bar.

    Raises:
        DataError: a limit without prices, or an answers file that is none.
    """
    budget = budget or Budget(max_cost_usd)
    budget.require_prices(list(annotators))
    with ExitStack() as stack:
        logs = [stack.enter_context(AnswerLog(out / f"{annotator.name}.jsonl")) for annotator in annotators]
        runs = [
            _AnnotatorRun(
                annotator,
                Asking(annotator, api_keys.get(annotator.name), label_task(taxonomy), budget),
                rows,
                log,
                taxonomy=taxonomy,
                on_answer=on_answer,
            )
            for annotator, log in zip(annotators, logs, strict=True)
        ]
        return asyncio.run(_run_all(runs))


async def _run_all(runs: Sequence["_AnnotatorRun"]) -> list[AnnotatorAccount]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run.run()) for run in runs]
    return [task.result() for task in tasks]


class _AnnotatorRun:
    """One annotator's way through the chats."""

    def __init__(
        self,
        annotator: Annotator,
        asking: Asking,
        rows: Sequence[ChatRow],
        log: AnswerLog,
        *,
        taxonomy: Taxonomy,
        on_answer: OnAnswer | None,
    ) -> None:
        self._annotator = annotator
        self._asking = asking
        self._log = log
        self._taxonomy = taxonomy
        self._on_answer = on_answer
        self._account = AnnotatorAccount(annotator=annotator.name, n_chats=len(rows))
        self._rows = iter(rows)
        self._n_done = 0

    async def run(self) -> AnnotatorAccount:
        await self._asking.run(self._work)
        self._account.stopped = self._asking.stopped
        return self._account

    async def _work(self) -> None:
        for row, prompt, request in self._to_ask():
            reply = await self._asking.ask(prompt)
            if reply is None:
                return
            answer = self._answer(reply, row.chat_id, request)
            self._log.add(answer)
            self._account.add(answer)
            self._progress()

    def _to_ask(self) -> Iterator[tuple[ChatRow, str, str]]:
        """Yield the chats that need a request; the workers share the rows."""
        while self._asking.may_go_on() and (row := next(self._rows, None)) is not None:
            prompt = quote_chat(
                row.turns,
                last_messages=self._annotator.last_messages,
                message_characters=self._annotator.message_characters,
            )
            request = request_digest(self._annotator, prompt, self._taxonomy)
            if paid := self._log.paid.get(request):
                if (request, row.chat_id) not in self._log.known:
                    free = {"chat_id": row.chat_id, "n_input_tokens": 0, "n_output_tokens": 0, "n_attempts": 0}
                    self._log.add(paid.model_copy(update={**free, "cost_usd": None, "latency_ms": None}))
                self._account.n_reused += 1
                self._progress()
                continue
            yield row, prompt, request

    def _progress(self) -> None:
        self._n_done += 1
        if self._on_answer is not None:
            self._on_answer(self._annotator.name, self._n_done)

    def _answer(self, reply: Reply, chat_id: str, request: str) -> Answer:
        answer = Answer(
            request=request,
            chat_id=chat_id,
            annotator=self._annotator.name,
            status=Status.LABELLED,
            model=reply.model,
            rules_digest=rules_digest(self._taxonomy),
            n_input_tokens=reply.n_input_tokens,
            n_output_tokens=reply.n_output_tokens,
            n_attempts=reply.n_attempts,
            latency_ms=None if reply.latency_s is None else round(reply.latency_s * 1000, 1),
            cost_usd=self._annotator.cost_usd(reply.n_input_tokens, reply.n_output_tokens),
        )
        return answer.model_copy(update=judge_reply(reply, self._taxonomy))


def judge_reply(reply: Reply, taxonomy: Taxonomy) -> dict[str, object]:
    """Return the fields of an Answer that depend on what the model said: a label or why there is none."""
    if reply.failure is not None:
        return {"status": Status.FAILED, "error": reply.failure}
    if reply.refused:
        return {"status": Status.REFUSAL, "error": "the model or its provider declined"}
    if reply.truncated:
        return {"status": Status.BAD_ANSWER, "error": "cut off at the token limit"}
    try:
        found = parse_answer(reply.text or "", taxonomy)
    except NotALabel as error:
        return {"status": Status.BAD_ANSWER, "error": error.found}
    from_tokens = soft_label_from_tokens(reply.tokens, found, taxonomy)
    return {
        "category": found.category,
        "confidence": found.confidence,
        "runner_up": found.runner_up,
        "soft_label": from_tokens or soft_label_of(found),
        "has_logprobs": from_tokens is not None,
    }
