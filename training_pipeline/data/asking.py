"""Ask one endpoint many questions: bounded concurrency, and an end to it where the money or the endpoint is gone.

Invariant: no request is sent after the budget is spent, after the endpoint said that it answers none, or after
`MAX_FAILURES_IN_A_ROW` questions went without an answer; what is in flight then still comes in.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from training_pipeline.data.annotator_config import Annotator
from training_pipeline.data.chat_completions import ChatCompletions, Reply
from training_pipeline.data.errors import AnnotatorStopped, DataError
from training_pipeline.data.label_prompt import Task

MAX_FAILURES_IN_A_ROW: Final = 25
"""After so many questions without an answer the endpoint is taken to be down, and the rest is left to a later run."""


class Budget:
    """Money for one run, shared by all annotators; checked before each request, so those in flight may pass it.

    Args:
        limit_usd: None does not limit.
    """

    def __init__(self, limit_usd: float | None) -> None:
        self.limit_usd = limit_usd
        self._spent_usd = 0.0

    def require_prices(self, annotators: "list[Annotator]") -> None:
        """Raise DataError where a limit is set and a price is missing."""
        unpriced = [a.name for a in annotators if a.cost_usd(0, 0) is None]
        if self.limit_usd is not None and unpriced:
            raise DataError(
                f"--max-cost-usd: no prices for {', '.join(unpriced)}; expected usd_per_million_input_tokens and "
                "usd_per_million_output_tokens of every annotator"
            )

    def spend(self, cost_usd: float | None) -> None:
        """Count the cost of one request."""
        self._spent_usd += cost_usd or 0.0

    @property
    def is_spent(self) -> bool:
        """Whether no further request may be sent."""
        return self.limit_usd is not None and self._spent_usd >= self.limit_usd


class Asking:
    """One endpoint, asked by several workers until it may not be asked any more.

    Args:
        annotator: Whom to ask.
        api_key: None for an endpoint without keys.
        task: What every question is about.
        budget: What may be spent.

    Attributes:
        stopped: Why no further question may be asked; None while it may.
    """

    def __init__(self, annotator: Annotator, api_key: str | None, task: Task, budget: Budget) -> None:
        self._annotator = annotator
        self._api_key = api_key
        self._task = task
        self._budget = budget
        self._n_failures_in_a_row = 0
        self._client: ChatCompletions | None = None
        self.stopped: str | None = None

    async def run(self, worker: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run as many workers side by side as requests may be in flight; each calls `ask`."""
        self._client = ChatCompletions(self._annotator, self._api_key, self._task)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._annotator.max_in_flight):
                    group.create_task(worker())
        finally:
            await self._client.close()

    def may_go_on(self) -> bool:
        """Say whether a further question may be asked."""
        if self.stopped is None and self._budget.is_spent:
            self.stopped = "the budget of this run (--max-cost-usd) is spent"
        return self.stopped is None

    async def ask(self, prompt: str) -> Reply | None:
        """Return the reply, or None where the endpoint answers no question."""
        if self._client is None:
            raise RuntimeError("ask: no connection; expected a call from a worker of `run`")
        try:
            reply = await self._client.ask(prompt)
        except AnnotatorStopped as stop:
            self.stopped = stop.error
            return None
        self._budget.spend(self._annotator.cost_usd(reply.n_input_tokens, reply.n_output_tokens))
        self._watch(reply)
        return reply

    def _watch(self, reply: Reply) -> None:
        self._n_failures_in_a_row = 0 if reply.failure is None else self._n_failures_in_a_row + 1
        if self._n_failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
            self.stopped = (
                f"annotator {self._annotator.name}: {MAX_FAILURES_IN_A_ROW} chats in a row without an answer, last: "
                f"{reply.failure}"
            )
