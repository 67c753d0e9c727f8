"""A console with a database of the test's own, and a pipeline that is not there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from console.service import Service
from tests.console.databases import open_one, url
from tests.console.databases import store as every_store
from tests.console.operations import operating_service, operations_on_sqlite
from tests.console.roles import keys_of_roles
from tests.console.server import RunningConsole

__all__ = ["every_store", "open_one", "operating_service", "operations_on_sqlite", "url"]


@pytest.fixture
def following(operating_service: Service, tmp_path: Path) -> Iterator[RunningConsole]:
    """Return a console with a key of each role, and one of another client."""
    running = RunningConsole(operating_service, keys_of_roles(tmp_path, "other"))
    yield running
    running.close()
