"""Threads for what a request waits for: bounded in number, in those that wait, and in time."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import pytest

from console.errors import Problem
from console.port.threads import Threads
from testkit.waiting import wait_until


@contextmanager
def hanging() -> Iterator[threading.Event]:
    """Give an event that calls wait for; it is set in the end."""
    event = threading.Event()
    try:
        yield event
    finally:
        event.set()


async def refused(call: Any) -> Problem:
    """Return the problem that a call ends in."""
    with pytest.raises(Problem) as found:
        await call
    return found.value


def test_a_call_that_hangs_is_answered_at_its_deadline_with_when_to_ask_again() -> None:
    """Whatever keeps the thread, the person is told."""
    threads = Threads("database", n_threads=1, n_waiting=1, within_s=0.05)
    with hanging() as event:
        problem = asyncio.run(refused(threads.call(event.wait, 30)))
    assert (problem.status, problem.code) == (HTTPStatus.SERVICE_UNAVAILABLE, "busy")
    assert problem.retry_after_s


def test_beyond_those_that_wait_the_next_one_is_refused_at_once_and_places_come_back() -> None:
    """Nobody stands in a queue that has no end; who was refused there has waited for nothing."""
    threads = Threads("database", n_threads=1, n_waiting=1, within_s=30)

    async def crowded(event: threading.Event) -> Problem:
        first, second = (asyncio.create_task(threads.call(event.wait, 30)) for _ in range(2))
        await asyncio.sleep(0)
        third = await refused(threads.call(event.wait, 30))
        event.set()
        assert await first
        assert await second
        assert await threads.call(lambda: True)
        return third

    with hanging() as event:
        assert asyncio.run(crowded(event)).code == "busy"


def test_what_has_not_begun_at_its_deadline_is_never_done() -> None:
    """Its caller asks again; done twice would be worse than late."""
    threads = Threads("database", n_threads=1, n_waiting=4, within_s=0.05)
    done: list[int] = []

    async def late() -> None:
        first = asyncio.create_task(refused(threads.call(event.wait, 30)))
        await asyncio.sleep(0)
        await refused(threads.call(done.append, 1))
        await first

    with hanging() as event:
        asyncio.run(late())
        event.set()
        asyncio.run(threads.call(done.append, 2))
    assert done == [2]


def test_what_was_done_too_late_is_taken_back() -> None:
    """A claim that nobody was told of would keep an item from all."""
    threads = Threads("database", n_threads=1, n_waiting=4, within_s=0.05)
    taken_back: list[bool] = []
    with hanging() as event:
        asyncio.run(refused(threads.call(event.wait, 30, too_late=taken_back.append)))
        assert taken_back == []
        event.set()
        wait_until(lambda: taken_back == [True], timeout_s=30)


def test_the_end_of_the_process_does_not_wait_for_a_call_that_hangs() -> None:
    """SIGTERM would wait for as long as a database says nothing."""
    code = (
        "import asyncio, threading, sys\n"
        "from console.errors import Problem\n"
        "from console.port.threads import Threads\n"
        "threads = Threads('database', n_threads=1, n_waiting=1, within_s=0.05)\n"
        "try:\n"
        "    asyncio.run(threads.call(threading.Event().wait))\n"
        "except Problem:\n"
        "    sys.exit(7)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 7


def test_what_a_call_raises_is_raised_as_it_is() -> None:
    """Also a time-out of its own, which is no deadline of ours."""

    def fails() -> None:
        raise TimeoutError("its own")

    threads = Threads("database", n_threads=1, n_waiting=1, within_s=30)
    with pytest.raises(TimeoutError, match="its own"):
        asyncio.run(threads.call(fails))
