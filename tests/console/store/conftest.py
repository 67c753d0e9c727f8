"""The databases on which the same tests run, and the operations that tests of the database share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from console.store.store import Store, open_store
from tests.console.operations import operating_service, operations_on_sqlite
from tests.console.postgres import Postgres, running_postgres

OpenStore = Callable[[], Store]

__all__ = ["operating_service", "operations_on_sqlite"]


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
def open_one(url: str) -> Iterator[OpenStore]:
    """Return a function that opens the database once more, as another console does."""
    opened: list[Store] = []

    def open_it() -> Store:
        opened.append(open_store(url))
        return opened[-1]

    yield open_it
    for store in opened:
        store.close()


@pytest.fixture
def store(open_one: OpenStore) -> Store:
    """Return an open database."""
    return open_one()
