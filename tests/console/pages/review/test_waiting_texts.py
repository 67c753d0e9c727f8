"""Texts that do not come: whoever waits for them keeps nobody from judging."""

import threading
from concurrent.futures import ThreadPoolExecutor

from console.pipeline.text import ChatText
from testkit.waiting import wait_until
from tests.console.pages.review.conftest import Desk
from tests.console.review.rows import item_row, put

_READERS = 40
"""More than asyncio's own threads on any machine: 32 at most."""


def test_while_kafka_says_nothing_the_queue_answers(desk: Desk) -> None:
    """Forty texts wait; a page of the queue, a claim and a preference do not."""
    put(desk.store, *(item_row(n) for n in range(1, _READERS + 1)))
    silent, begun = threading.Event(), threading.Event()

    def wait(*_place: object) -> ChatText | None:
        begun.set()
        silent.wait(60)
        return None

    desk.texts.of = wait  # type: ignore[assignment, method-assign]
    login = {"cookie": desk.cookie("ada"), "origin": desk.console.url}
    with ThreadPoolExecutor(_READERS) as readers:
        asked = [
            readers.submit(desk.console.post, "/review/text", {"item_id": n}, **login) for n in range(1, _READERS + 1)
        ]
        try:
            assert begun.wait(60)
            wait_until(lambda: _n_logged(desk) == _READERS, timeout_s=60)
            page = _answers_of_the_queue(desk, login)
            assert not any(one.done() for one in asked)
        finally:
            silent.set()
        assert page == [200, 200, 200]
        assert {one.result().status for one in asked} == {200}


def _answers_of_the_queue(desk: Desk, login: dict[str, str]) -> list[int]:
    """Return how three routes of the queue answer."""
    return [
        desk.console.ask("GET", "/review/queue", headers=login).status,
        desk.console.post("/review/claim", {}, **login).status,
        desk.console.post("/review/preferences", {"greyscale": True}, **login).status,
    ]


def _n_logged(desk: Desk) -> int:
    with desk.store.reading() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM access_log WHERE action = 'reveal'").scalar_one())
