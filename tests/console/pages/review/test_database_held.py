"""A database that somebody holds: claims are answered in bounded time, and nobody who was refused keeps an item."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import func, select

from console.port.threads import DATABASE
from console.store.tables import access_log, claims
from testkit.waiting import wait_until
from tests.console.pages.review.conftest import Desk
from tests.console.pages.review.rows import put_many
from tests.console.server import Answer

N_CLIENTS = 30
"""More than asyncio has threads of its own, and more than ours."""
WITHIN_S = 0.5


@contextmanager
def _held(desk: Desk) -> Iterator[None]:
    """Hold the lock of those who write, as a process that hangs in its transaction does."""
    file = desk.store._engine.url.database
    assert file is not None
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_claims_are_answered_in_bounded_time_while_the_database_is_held(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every waiting claim kept a thread for as long as the lock; the next ones stood behind it without an end."""
    put_many(desk.store, desk.texts, N_CLIENTS)
    headers = {"cookie": desk.cookie("ada"), "origin": desk.console.url}
    monkeypatch.setattr(DATABASE, "within_s", WITHIN_S)

    def claim(_number: int) -> Answer:
        return desk.console.post("/review/claim", {"kind": "review", "order": "age"}, **headers)

    n_places = DATABASE._places._value
    with ThreadPoolExecutor(N_CLIENTS) as clients:
        with _held(desk):
            answers = list(clients.map(claim, range(N_CLIENTS), timeout=5))
            assert {answer.status for answer in answers} == {503}
            assert {answer.error["code"] for answer in answers} == {"busy"}
            assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)

        def is_given_back() -> bool:
            with desk.store.reading() as connection:
                n_claims = connection.execute(select(func.count()).select_from(claims)).scalar_one()
                actions = Counter(connection.execute(select(access_log.c.action)).scalars())
            is_idle = DATABASE._places._value == n_places
            return is_idle and n_claims == 0 and actions["claim"] == actions["release"] > 0

        # Those that had begun claim their item after all.
        wait_until(is_given_back, timeout_s=60)
        monkeypatch.setattr(DATABASE, "within_s", 20.0)
        assert claim(0).json["claim"]["item"]["id"] == 1
