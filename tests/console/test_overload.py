"""64 clients at more than the capacity: what is admitted is answered, the rest is refused at once, nothing is left."""

import asyncio
import gc
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from console.judging.judge import Judge
from console.metrics import Metrics
from console.server import serve
from console.settings.console import ConsoleSettings, QueueSettings
from console.settings.http import HttpSettings
from testkit.waiting import wait_until
from tests.console.conftest import StartConsole
from tests.console.gated_classifier import GatedClassifier
from tests.console.server import Answer, RunningConsole

N_CLIENTS = 64
BATCH = {"conversations": ["hello"] * 8}


@pytest.fixture
def crowded(gated: GatedClassifier, start_console: StartConsole) -> RunningConsole:
    """Return a console whose queue holds half of what 64 clients ask, and whose classifier waits."""
    queue = QueueSettings(max_conversations=256, batch_conversations=8, deadline_s=60)
    judge = Judge(gated, queue, Metrics())
    judge.start()
    return start_console(judge=judge, queue=queue)


def test_beyond_the_capacity_the_rest_gets_429_at_once_and_the_admitted_their_answers(
    crowded: RunningConsole, gated: GatedClassifier
) -> None:
    """The refusals come while the classifier stands still: they wait for nothing."""
    judge = crowded.service.judge
    with ThreadPoolExecutor(N_CLIENTS) as clients:
        asked = [clients.submit(crowded.post, "/v1/classify", BATCH) for _ in range(N_CLIENTS)]
        # One batch is in hand, 32 requests fill the queue.
        wait_until(lambda: sum(one.done() for one in asked) == N_CLIENTS - 33, timeout_s=60)
        refused = [one.result() for one in asked if one.done()]
        assert {answer.status for answer in refused} == {429}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        gated.open()
        answers: list[Answer] = [one.result() for one in asked]
    admitted = [answer for answer in answers if answer.status == 200]
    assert len(admitted) == 33
    assert all(len(answer.json["results"]) == 8 for answer in admitted)
    assert judge._waiting.n_conversations == 0
    wait_until(lambda: crowded.service.bodies.held_bytes == 0)
    assert crowded.post("/v1/classify", BATCH).status == 200


def test_who_waits_past_the_deadline_is_told_so_and_frees_the_queue(
    gated: GatedClassifier, start_console: StartConsole
) -> None:
    """A classifier that stands still answers nobody; every request ends, and none of them stays in memory."""
    queue = QueueSettings(max_conversations=512, deadline_s=0.2)
    judge = Judge(gated, queue, Metrics())
    judge.start()
    console = start_console(judge=judge, queue=queue)
    with ThreadPoolExecutor(N_CLIENTS) as clients:
        statuses = {answer.status for answer in clients.map(lambda _: console.post("/v1/classify", BATCH), range(128))}
    assert 504 in statuses
    assert statuses <= {429, 504}
    assert judge._waiting.n_conversations == 0
    gated.open()
    judge.close()


def test_a_client_that_leaves_is_not_waited_for(crowded: RunningConsole, gated: GatedClassifier) -> None:
    """Its conversations are judged or dropped; the next client is answered."""

    async def leave() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", crowded.port)
        body = b'{"text":"hello"}'
        writer.write(
            b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
            + str(len(body)).encode()
            + b"\r\n\r\n"
            + body
        )
        await writer.drain()
        await asyncio.to_thread(gated.entered.acquire)
        writer.close()

    asyncio.run(leave())
    gated.open()
    assert crowded.post("/v1/classify", {"text": "hello"}).status == 200


def test_what_was_loaded_is_never_looked_through_for_cycles() -> None:
    """That stops the event loop, and with it every request, for as long as a deadline on a busy machine."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    frozen: list[int] = []

    def announced(_address: str) -> None:
        frozen.append(gc.get_freeze_count())
        os.kill(os.getpid(), signal.SIGTERM)

    try:
        assert serve(ConsoleSettings(http=HttpSettings(port=0), api_only=True), announced) is None
    finally:
        gc.unfreeze()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    # The modules alone are more.
    assert frozen[0] > 50_000
