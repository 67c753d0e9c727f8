"""One classifier in a thread of its own, and the requests that wait for it.

A micro-batch begins as soon as the one before has ended, with what waits by then: nobody waits for a batch to fill.
What pages ask in the background is taken where nothing else waits, a few conversations at a time.

Invariants: the classifier is called by one thread; a request gets one answer or one problem, within its deadline; what
would not be done in time is refused at once, and what is due already is not begun.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Final, Protocol

import structlog

from console.errors import Problem
from console.judging.own_names import with_own_names
from console.judging.pace import Pace
from console.judging.request import Answer, JudgeRequest, ending, fail_from_thread, request_of, too_late
from console.judging.waiting import Conversation, Ticket, WaitingRequests
from console.metrics import Metrics
from console.settings.console import QueueSettings
from model import ClassifyStats, InferenceStalled, RowFailed
from schemas import Turn

_SURE_SHARE: Final = 0.7
"""Of the deadline: what is expected later than this is refused. A wait is guessed from what others took, and a request
that was admitted and then misses its deadline has cost the same as one that is answered."""
_ANSWER_SHARE: Final = 0.9
"""Of the deadline: an answer is there by then or a problem is, so that either is written and sent in time."""
_BACKGROUND_CONVERSATIONS: Final = 4
"""Of a micro-batch of the background: a request that comes in the meantime waits for no more."""

log = structlog.get_logger()


class Classifies(Protocol):
    """What the judge needs of a classifier."""

    @property
    def is_worn_out(self) -> bool:
        """Whether the process should end."""
        ...

    def classify(self, conversations: Sequence[Sequence[Turn]]) -> tuple[list[Answer], ClassifyStats]:
        """Classify conversations."""
        ...


class Judge:
    """Classifies conversations for many requests at once.

    Args:
        classifier: Warmed up; nobody else may call it.
        settings: Bounds of queue and micro-batches.
        metrics: Told of both.
        clock: Seconds from any moment on.
    """

    def __init__(
        self,
        classifier: Classifies,
        settings: QueueSettings,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._clock = clock
        self._classifier = classifier
        self._settings = settings
        self._metrics = metrics
        self._waiting = WaitingRequests(settings.max_conversations)
        self._background = WaitingRequests(settings.max_conversations)
        self._pace = Pace()
        self._is_busy = False
        self._in_hand = (0, 0.0)
        """Tokens of the micro-batch that is being classified, and when it began."""
        self._is_closed = False
        self._on_end: Callable[[], None] = lambda: None
        self.ended_by: str | None = None
        """Why the thread ended by itself; None before it did."""
        self._arrived = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="classifier", daemon=True)

    def start(self, on_end: Callable[[], None] = lambda: None) -> None:
        """Begin to classify.

        Args:
            on_end: Called from the thread where it ends by itself (`ended_by`).
        """
        self._on_end = on_end
        self._thread.start()

    def close(self) -> None:
        """Refuse what waits and end the thread after the micro-batch in hand."""
        self._end()
        self._thread.join()

    @property
    def is_ready(self) -> bool:
        """Whether requests are answered."""
        return self._thread.is_alive() and not self._is_closed

    def check(self, within_s: float) -> None:
        """Refuse a request whose body is not even read yet, where no request would be done in time.

        Raises:
            Problem: 429, or 503 at the end of the process.
        """
        with self._arrived:
            if self._is_closed:
                raise ending()
            self._check(0, within_s)

    async def judge(
        self, conversations: Sequence[Sequence[Turn]], *, within_s: float, is_background: bool = False
    ) -> list[Answer]:
        """Return one answer per conversation, in order.

        Args:
            conversations: At least one; turns with visible text, none empty.
            within_s: The deadline from now.
            is_background: Whether all other requests go first.

        Raises:
            Problem: 429 where it would not be done in time, 503 at the end of the process, 504 at the deadline.
        """
        answer_s = _ANSWER_SHARE * within_s
        request = JudgeRequest([Conversation.of(turns) for turns in conversations], self._clock() + answer_s)
        self._enter(request, within_s, is_background=is_background)
        try:
            async with asyncio.timeout(answer_s):
                return await request.done
        except TimeoutError:
            raise too_late() from None
        finally:
            with self._arrived:
                self._waiting.remove(request)
                self._background.remove(request)

    def _enter(self, request: JudgeRequest, within_s: float, *, is_background: bool) -> None:
        with self._arrived:
            if self._is_closed:
                raise ending()
            queue = self._background if is_background else self._waiting
            n_before = self._background.n_tokens if is_background else 0
            expected_s = self._check(n_before + request.n_tokens, within_s)
            if not queue.add(request):
                raise self._overloaded(expected_s - within_s)
            self._metrics.waiting.set(self._n_waiting)
            self._arrived.notify()

    def _check(self, n_tokens: int, within_s: float) -> float:
        """Return when so many tokens more would be done; raises where that is too late."""
        n_in_hand, began_s = self._in_hand
        expected_s = self._pace.expected_s(
            n_tokens=self._waiting.n_tokens + n_tokens,
            in_hand=(n_in_hand, self._clock() - began_s) if self._is_busy else None,
        )
        # An idle classifier is asked whatever was learned: a slow moment must not refuse everybody for good.
        is_idle = not self._is_busy and not self._n_waiting
        if expected_s > _SURE_SHARE * within_s and not is_idle:
            raise self._overloaded(expected_s - _SURE_SHARE * within_s)
        return expected_s

    def _overloaded(self, late_s: float) -> Problem:
        self._metrics.refused.labels(reason="queue").inc()
        return Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "overloaded",
            f"{self._n_waiting} conversations wait already; ask again after retry-after",
            retry_after_s=max(1, math.ceil(late_s)),
        )

    @property
    def _n_waiting(self) -> int:
        return self._waiting.n_conversations + self._background.n_conversations

    def _run(self) -> None:
        ended_by: str | None = "the classifier failed unexpectedly; its traceback is on standard error"
        tickets: list[Ticket] = []
        try:
            while tickets := self._next():
                self._classify(tickets)
                if self._classifier.is_worn_out:
                    ended_by = "inferences did not end and were left behind; look at the bundle"
                    return
            ended_by = None
        finally:
            # After an answer this does nothing.
            self._end(tickets)
            if ended_by is not None:
                self.ended_by = ended_by
                self._on_end()

    def _next(self) -> list[Ticket]:
        """Wait for a micro-batch; an empty one says that the judge is closed."""
        with self._arrived:
            self._is_busy = False
            while not self._is_closed:
                self._arrived.wait_for(lambda: self._is_closed or self._n_waiting)
                # An event loop that is busy has not yet told these that their time is over.
                for queue in (self._waiting, self._background):
                    fail_from_thread(queue.remove_late(self._clock()), too_late)
                if tickets := self._taken():
                    self._is_busy = True
                    self._in_hand = (sum(ticket.conversation.n_tokens for ticket in tickets), self._clock())
                    return tickets
            return []

    def _taken(self) -> list[Ticket]:
        most = self._settings.batch_conversations
        queue, most = (
            (self._waiting, most) if self._waiting else (self._background, min(most, _BACKGROUND_CONVERSATIONS))
        )
        tickets = queue.take(most, self._settings.batch_tokens)
        self._metrics.waiting.set(self._n_waiting)
        return tickets

    def _classify(self, tickets: Sequence[Ticket]) -> None:
        n_tokens, began_s = self._in_hand
        answers = self._answers([ticket.conversation.turns for ticket in tickets])
        ended_s = self._clock()
        took_s = ended_s - began_s
        with self._arrived:
            self._pace.learn(n_tokens=n_tokens, took_s=took_s)
        self._metrics.batch_conversations.observe(len(tickets))
        self._metrics.batch_seconds.observe(took_s)
        of_loop: dict[asyncio.AbstractEventLoop, list[tuple[Ticket, Answer]]] = {}
        for ticket, answer in zip(tickets, answers, strict=True):
            of_loop.setdefault(request_of(ticket).loop, []).append((ticket, answer))
        for loop, answered in of_loop.items():
            # A loop that is closed has nobody who waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._deliver, answered, ended_s)

    def _deliver(self, answered: Sequence[tuple[Ticket, Answer]], ended_s: float) -> None:
        with self._arrived:
            self._pace.learn_delivery(self._clock() - ended_s)
        for ticket, answer in answered:
            request_of(ticket).answer(ticket.position, answer)

    def _answers(self, conversations: Sequence[Sequence[Turn]]) -> list[Answer]:
        try:
            answers, stats = self._classifier.classify(conversations)
        except InferenceStalled as stalled:
            log.warning("inference_stalled", n_conversations=len(conversations), n_timeouts=stalled.n_timeouts)
            if len(conversations) == 1:
                return [RowFailed(with_own_names(str(stalled)))]
            return [answer for one in conversations for answer in self._answers([one])]
        if stats.n_timeouts:
            log.warning("inference_timed_out", n_timeouts=stats.n_timeouts, n_abandoned=stats.n_abandoned)
        return [RowFailed(with_own_names(one.error)) if isinstance(one, RowFailed) else one for one in answers]

    def _end(self, in_hand: Sequence[Ticket] = ()) -> None:
        with self._arrived:
            self._is_closed = True
            left = [*self._waiting.clear(), *self._background.clear()]
            self._arrived.notify_all()
        fail_from_thread({*left, *(ticket.request for ticket in in_hand)}, ending)
