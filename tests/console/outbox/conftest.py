"""The databases on which the tests of rows run; what sends over Kafka does so from SQLite."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from console.store.store import Store, open_store
from tests.console.databases import open_one, url
from tests.console.databases import store as every_store

__all__ = ["every_store", "open_one", "url"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return an empty database on SQLite; a file of tests that runs on each takes `every_store` in its place."""
    opened = open_store(f"sqlite:///{tmp_path / 'console.sqlite3'}")
    yield opened
    opened.close()
