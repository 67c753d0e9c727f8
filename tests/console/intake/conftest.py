"""A pipeline's topics and a console's database: in memory with SQLite, and on real Kafka with a real PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker_twin.broker import TwinBroker
from tests.brokers import RealBroker
from tests.console.databases import open_one, store, url
from tests.console.intake.rig import Rig
from tests.console.postgres import Postgres

__all__ = ["open_one", "store", "url"]


@pytest.fixture(params=["twin-sqlite", pytest.param("kafka-postgres", marks=pytest.mark.services)])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """Return topics and a database, with nothing that reads yet."""
    if request.param == "twin-sqlite":
        made = Rig(TwinBroker(), f"sqlite:///{tmp_path / 'console.sqlite3'}")
    else:
        server: Postgres = request.getfixturevalue("postgres")
        stack = request.getfixturevalue("stack")
        made = Rig(RealBroker(stack.bootstrap_servers), server.new_database())
    yield made
    made.close()
