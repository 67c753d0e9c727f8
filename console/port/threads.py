"""Threads for what a request waits for: so many work, so many wait, and nobody waits for longer than is said.

Invariant: a request that asks through here is answered within the deadline, whatever hangs: the database's lock, its
server, Kafka. asyncio's own threads are a few more than the cores, and what waits for them waits without an end; so
they are for computing alone.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from http import HTTPStatus
from queue import SimpleQueue
from typing import Any, Final, TypeVar

import structlog

from console.errors import Problem

log = structlog.get_logger()

_Found = TypeVar("_Found")

_RETRY_S: Final = 2


class Threads:
    """Threads of one kind of waiting, shared by all requests.

    Args:
        name: What is waited for, as problems and thread names say it.
        n_threads: How many calls are made at once.
        n_waiting: How many wait besides; the next one is refused at once.
        within_s: Longest time of a call, waiting included.
    """

    def __init__(self, name: str, *, n_threads: int, n_waiting: int, within_s: float) -> None:
        self.within_s = within_s
        self._name = name
        self._pool = _Pool(name, n_threads)
        self._places = threading.Semaphore(n_threads + n_waiting)

    async def call(
        self,
        function: Callable[..., _Found],
        *arguments: Any,
        too_late: Callable[[_Found], None] | None = None,
        **named: Any,
    ) -> _Found:
        """Call a function in one of the threads.

        Args:
            function: Called with all other arguments.
            arguments: Its own.
            too_late: Takes back what the function has done, where it returns after its caller was refused.
            named: Its own.

        Raises:
            Problem: 503 `busy`, with `retry-after`: too many wait, or the time is over. A call that has begun goes on.
        """
        if not self._places.acquire(blocking=False):
            raise self._busy("too many requests wait for")
        run = partial(copy_context().run, function, *arguments, **named)
        future = self._pool.submit(run)
        future.add_done_callback(lambda _future: self._places.release())
        try:
            async with asyncio.timeout(self.within_s) as deadline:
                # Its cancellation reaches a call that has not begun.
                return await asyncio.wrap_future(future)
        except TimeoutError:
            if not deadline.expired():
                raise
            if too_late is not None:
                future.add_done_callback(partial(_take_back, too_late))
            raise self._busy(f"no answer within {self.within_s:g} s of") from None

    def _busy(self, why: str) -> Problem:
        log.warning("request_not_served", waits_for=self._name, why=why)
        return Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "busy",
            f"{why} the {self._name}; what was asked for may still happen; ask again after retry-after",
            retry_after_s=_RETRY_S,
        )


class _Pool:
    """Threads that the end of the process does not wait for, unlike those of concurrent.futures.

    Args:
        name: Of the threads.
        n_threads: How many there are, once so many calls were made.
    """

    def __init__(self, name: str, n_threads: int) -> None:
        self._name = name
        self._n_left = n_threads
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._starting = threading.Lock()

    def submit(self, call: Callable[[], _Found]) -> "Future[_Found]":
        """Have a function called; a future that is cancelled before is left out."""
        future: Future[_Found] = Future()
        self._calls.put((future, call))
        with self._starting:
            if self._n_left:
                threading.Thread(target=self._run, name=f"{self._name}-{self._n_left}", daemon=True).start()
                self._n_left -= 1
        return future

    def _run(self) -> None:
        while True:
            _serve(*self._calls.get())


def _serve(future: "Future[Any]", call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        found = call()
    except BaseException as error:  # noqa: BLE001  handed to the caller, whatever it is
        future.set_exception(error)
    else:
        future.set_result(found)


def _take_back(too_late: Callable[[Any], None], future: "Future[Any]") -> None:
    if not future.cancelled() and future.exception() is None:
        too_late(future.result())


DATABASE: Final = Threads("database", n_threads=8, n_waiting=64, within_s=20.0)
"""For claims, answers and all else that asks the database alone, so that nothing slower keeps these threads."""
PIPELINE: Final = Threads("pipeline", n_threads=6, n_waiting=24, within_s=30.0)
"""For what may ask Kafka or Redis as well."""
HISTORIES: Final = Threads("history", n_threads=4, n_waiting=12, within_s=90.0)
"""For searches through the topics."""
