"""Operations of tests: a database of the test's own, and a pipeline at an address where nobody listens.

A folder of tests imports the fixtures into its conftest and lists them in `__all__`.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from console.operations import Operations
from console.service import Service
from console.settings.console import ConsoleSettings
from console.settings.operations import PipelineSettings, StoreSettings
from console.store.store import open_store
from worker.settings.source import read_settings
from worker.settings.worker import WorkerSettings

HASH_KEY: Final = "0123456789abcdef" * 4
"""Key of the hashes that stand for chats."""
NOBODY: Final = "127.0.0.1:1"
"""Address of a broker that is not there."""

_TOPICS: Final = {
    "INPUT_TOPIC": "chat-events",
    "VERDICT_TOPIC": "verdicts",
    "DEAD_LETTER_TOPIC": "chat-events.dlq",
    "POLICIES_TOPIC": "verdict-policies",
    "STATE_TOPIC": "verdict-state",
    "OVERRIDES_TOPIC": "verdict-overrides",
    "REVIEWS_TOPIC": "verdict-reviews",
    "DECISIONS_TOPIC": "verdict-decisions",
    "FEEDBACK_TOPIC": "verdict-feedback",
    "ERASURES_TOPIC": "verdict-erasures",
}


def worker_settings(bootstrap_servers: str = NOBODY, **kafka: str) -> WorkerSettings:
    """Return settings of a worker that name every topic.

    Args:
        bootstrap_servers: Where Kafka is.
        kafka: Other settings of the section, by their names: `verdict_topic="verdicts-1"`.
    """
    named = {
        "BOOTSTRAP_SERVERS": bootstrap_servers,
        **_TOPICS,
        **{name.upper(): value for name, value in kafka.items()},
    }
    environment = {f"MODERATION_KAFKA__{name}": value for name, value in named.items()}
    return read_settings(environment | {"MODERATION_ERASURE__HASH_KEY": HASH_KEY}, None)


def operations_at(url: str, worker: WorkerSettings | None = None, **sections: Any) -> Operations:
    """Open operations with a database; nothing is started.

    Args:
        url: SQLAlchemy address of the database.
        worker: The pipeline's settings; None: of one that is not there.
        sections: Sections of the console's settings: `review=ReviewSettings(opinions=2)`.
    """
    given = {"pipeline": PipelineSettings(is_on=True), "store": StoreSettings(url=url), **sections}
    return Operations(ConsoleSettings(**given), worker or worker_settings(), open_store(url))


@pytest.fixture
def operations_on_sqlite(tmp_path: Path) -> Iterator[Operations]:
    """Return operations with a new database in a file; no thread runs."""
    operations = operations_at(f"sqlite:///{tmp_path / 'console.sqlite3'}")
    yield operations
    operations.close()


@pytest.fixture
def operating_service(service: Service, operations_on_sqlite: Operations) -> Service:
    """Return the shared service with operations of the test's own."""
    settings = service.settings.model_copy(
        update={name: getattr(operations_on_sqlite.settings, name) for name in ("pipeline", "store", "review")}
    )
    return replace(service, settings=settings, operations=operations_on_sqlite)
