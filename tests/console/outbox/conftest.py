"""A database of the test's own, on SQLite."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from console.store.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return an empty database."""
    opened = open_store(f"sqlite:///{tmp_path / 'console.sqlite3'}")
    yield opened
    opened.close()
