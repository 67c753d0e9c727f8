"""The queue on SQLite and on a real PostgreSQL."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from console.review.queue import Queue
from console.settings.operations import ReviewSettings
from console.store.store import Store, open_store
from tests.console.postgres import Postgres, running_postgres
from tests.console.review.rows import Clock

OpenQueue = Callable[..., Queue]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Return a PostgreSQL for all tests, each of which has a database of its own."""
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of a new database: once SQLite, once a real PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'console.sqlite3'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """Return an open database."""
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    """Return the time of the test's queues."""
    return Clock()


@pytest.fixture
def open_queue(store: Store, clock: Clock) -> OpenQueue:
    """Return a function that opens a queue with settings of its own; chance is always 0 unless it is given."""

    def open_one(*, draw: Callable[[int], int] = lambda _n: 0, hooks: Any = None, **settings: Any) -> Queue:
        return Queue(store, ReviewSettings(**settings), b"k" * 32, clock=clock, draw=draw, hooks=hooks)

    return open_one


@pytest.fixture
def queue(open_queue: OpenQueue) -> Queue:
    """Return a queue with default settings."""
    return open_queue()
