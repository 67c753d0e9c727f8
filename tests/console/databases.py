"""The databases on which the same tests run: SQLite, and a real PostgreSQL (marker `services`).

A folder of tests imports the fixtures into its conftest and lists them in `__all__`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from console.store.store import Store, open_store
from tests.console.postgres import Postgres

OpenStore = Callable[[], Store]


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
