"""Have every annotator label every chat: bounded concurrency, resumable, with an account of tokens and money.

Invariant: each (annotator, chat) ends as one line of the annotator's answers file, unless the run was stopped; an
answer that is no label is an abstention and never a category.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from training_pipeline.data.annotator_config import Annotator
from training_pipeline.data.answer_log import Answer, AnswerLog, request_digest
from training_pipeline.data.chat_completions import ChatCompletions, Reply
from training_pipeline.data.chat_rows import ChatRow
from training_pipeline.data.errors import AnnotatorStopped, DataError
from training_pipeline.data.label_answer import (
    NotALabel,
    Status,
    parse_answer,
    soft_label_from_tokens,
    soft_label_of,
)
from training_pipeline.data.label_prompt import quote_chat, rules_digest

MAX_FAILURES_IN_A_ROW: Final = 25
"""After so many chats without an answer the endpoint is taken to be down, and the rest is left to a later run."""

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


class Budget:
    """Money for one run, shared by all annotators; checked before each request, so those in flight may pass it.

    Args:
        limit_usd: None does not limit.
    """

    def __init__(self, limit_usd: float | None) -> None:
        self._limit_usd = limit_usd
        self._spent_usd = 0.0

    def spend(self, cost_usd: float | None) -> None:
        """Count the cost of one request."""
        self._spent_usd += cost_usd or 0.0

    @property
    def is_spent(self) -> bool:
        """Whether no further request may be sent."""
        return self._limit_usd is not None and self._spent_usd >= self._limit_usd


def label(
    rows: Sequence[ChatRow],
    annotators: Sequence[Annotator],
    api_keys: Mapping[str, str | None],
    out: Path,
    *,
    max_cost_usd: float | None = None,
    on_answer: OnAnswer | None = None,
) -> list[AnnotatorAccount]:
    """Label all chats with all annotators.

    Args:
        rows: The chats.
        annotators: Whom to ask.
        api_keys: Key of each annotator, by its name.
        out: Folder of the answers files, `<annotator>.jsonl`; what is in them is not asked again.
        max_cost_usd: Stop sending when this run has cost so much; every annotator then needs prices.
        on_answer: For a progress bar.

    Raises:
        DataError: a limit without prices, or an answers file that is none.
    """
    if max_cost_usd is not None:
        unpriced = [a.name for a in annotators if a.cost_usd(0, 0) is None]
        if unpriced:
            raise DataError(
                f"--max-cost-usd: no prices for {', '.join(unpriced)}; expected usd_per_million_input_tokens and "
                "usd_per_million_output_tokens of every annotator"
            )
    budget = Budget(max_cost_usd)
    with ExitStack() as stack:
        logs = [stack.enter_context(AnswerLog(out / f"{annotator.name}.jsonl")) for annotator in annotators]
        runs = [
            _AnnotatorRun(annotator, api_keys.get(annotator.name), rows, log, budget=budget, on_answer=on_answer)
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
        api_key: str | None,
        rows: Sequence[ChatRow],
        log: AnswerLog,
        *,
        budget: Budget,
        on_answer: OnAnswer | None,
    ) -> None:
        self._annotator = annotator
        self._api_key = api_key
        self._log = log
        self._budget = budget
        self._on_answer = on_answer
        self._account = AnnotatorAccount(annotator=annotator.name, n_chats=len(rows))
        self._rows = iter(rows)
        self._rules_digest = rules_digest()
        self._n_failures_in_a_row = 0
        self._n_done = 0

    async def run(self) -> AnnotatorAccount:
        client = ChatCompletions(self._annotator, self._api_key)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._annotator.max_in_flight):
                    group.create_task(self._work(client))
        finally:
            await client.close()
        return self._account

    async def _work(self, client: ChatCompletions) -> None:
        for row, prompt, request in self._to_ask():
            try:
                reply = await client.ask(prompt)
            except AnnotatorStopped as stop:
                self._account.stopped = stop.error
                return
            answer = self._answer(reply, row.chat_id, request)
            self._log.add(answer)
            self._account.add(answer)
            self._budget.spend(answer.cost_usd)
            self._watch(answer)
            self._progress()

    def _to_ask(self) -> Iterator[tuple[ChatRow, str, str]]:
        """Yield the chats that need a request; the workers share the rows."""
        while self._may_go_on() and (row := next(self._rows, None)) is not None:
            prompt = quote_chat(
                row.turns,
                last_messages=self._annotator.last_messages,
                message_characters=self._annotator.message_characters,
            )
            request = request_digest(self._annotator, prompt)
            if paid := self._log.paid.get(request):
                if (request, row.chat_id) not in self._log.known:
                    free = {"chat_id": row.chat_id, "n_input_tokens": 0, "n_output_tokens": 0, "n_attempts": 0}
                    self._log.add(paid.model_copy(update={**free, "cost_usd": None, "latency_ms": None}))
                self._account.n_reused += 1
                self._progress()
                continue
            yield row, prompt, request

    def _may_go_on(self) -> bool:
        if self._account.stopped is None and self._budget.is_spent:
            self._account.stopped = "the budget of this run (--max-cost-usd) is spent"
        return self._account.stopped is None

    def _watch(self, answer: Answer) -> None:
        failed = answer.status is Status.FAILED
        self._n_failures_in_a_row = self._n_failures_in_a_row + 1 if failed else 0
        if self._n_failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
            self._account.stopped = (
                f"annotator {self._annotator.name}: {MAX_FAILURES_IN_A_ROW} chats in a row without an answer, last: "
                f"{answer.error}"
            )

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
            rules_digest=self._rules_digest,
            n_input_tokens=reply.n_input_tokens,
            n_output_tokens=reply.n_output_tokens,
            n_attempts=reply.n_attempts,
            latency_ms=None if reply.latency_s is None else round(reply.latency_s * 1000, 1),
            cost_usd=self._annotator.cost_usd(reply.n_input_tokens, reply.n_output_tokens),
        )
        return answer.model_copy(update=judge_reply(reply))


def judge_reply(reply: Reply) -> dict[str, object]:
    """Return the fields of an Answer that depend on what the model said: a label or why there is none."""
    if reply.failure is not None:
        return {"status": Status.FAILED, "error": reply.failure}
    if reply.refused:
        return {"status": Status.REFUSAL, "error": "the model or its provider declined"}
    if reply.truncated:
        return {"status": Status.BAD_ANSWER, "error": "cut off at the token limit"}
    try:
        found = parse_answer(reply.text or "")
    except NotALabel as error:
        return {"status": Status.BAD_ANSWER, "error": error.found}
    from_tokens = soft_label_from_tokens(reply.tokens, found)
    return {
        "category": found.category,
        "confidence": found.confidence,
        "runner_up": found.runner_up,
        "soft_label": from_tokens or soft_label_of(found),
        "has_logprobs": from_tokens is not None,
    }
