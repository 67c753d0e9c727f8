"""A request and the event loop that waits for its answers."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from http import HTTPStatus

from console.errors import Problem
from console.judging.waiting import Conversation, Ticket, Waiting
from model import Classification, RowFailed

Answer = Classification | RowFailed


class JudgeRequest(Waiting):
    """A request of the running event loop.

    Args:
        conversations: What is asked.
        due_s: When its answer is of no use any more.
    """

    def __init__(self, conversations: Sequence[Conversation], due_s: float) -> None:
        super().__init__(conversations, due_s)
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[list[Answer]] = self.loop.create_future()
        self._answers: dict[int, Answer] = {}

    def answer(self, position: int, answer: Answer) -> None:
        """Note an answer; the last one ends the wait."""
        self._answers[position] = answer
        if len(self._answers) == len(self.conversations) and not self.done.done():
            self.done.set_result([self._answers[i] for i in range(len(self.conversations))])

    def fail(self, problem: Problem) -> None:
        """End the wait with a problem."""
        if not self.done.done():
            self.done.set_exception(problem)


def request_of(ticket: Ticket) -> JudgeRequest:
    """Return the request of a ticket."""
    request = ticket.request
    if not isinstance(request, JudgeRequest):
        raise TypeError(f"a {type(request).__name__} in the judge's queue; expected its own requests only")
    return request


def fail_from_thread(requests: Iterable[Waiting], problem_of: Callable[[], Problem]) -> None:
    """End the wait of requests from another thread than their event loop's."""
    for request in requests:
        if isinstance(request, JudgeRequest):
            # A loop that is closed has nobody who waits.
            with suppress(RuntimeError):
                request.loop.call_soon_threadsafe(request.fail, problem_of())


def too_late() -> Problem:
    """Return what a request is told at its deadline."""
    return Problem(
        HTTPStatus.GATEWAY_TIMEOUT,
        "deadline_exceeded",
        "no answer within the deadline; ask about fewer conversations at once, or allow more time",
    )


def ending() -> Problem:
    """Return what a request is told at the end of the process."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "stopping",
        "this process is ending; ask again, and another one answers",
        retry_after_s=1,
    )
