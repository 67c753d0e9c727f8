"""Consoles on a real pipeline: topics, worker, database, and the steps of a person who reviews, over the API.

Invariant: nothing here imports the console; its extra may be missing where this folder is collected.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import orjson
import pytest
import redis

from deploy.local import LocalStack
from deploy.local.kafka_topics import admin_client
from schemas import Feedback, Verdict, VerdictKind, decode_verdict
from schemas.feedback import decode_feedback
from testkit.console_process import ConsoleProcess
from testkit.reader import read_all
from testkit.topics import Topics
from testkit.waiting import wait_until
from testkit.worker_process import child_environment
from tests.brokers import configure_topic
from tests.integration.conftest import Settings
from tests.integration.ledger import READER
from worker.cache.values import cache_key

HASH_KEY: Final = "console-test-key-of-32-characters"
PATIENCE_S: Final = 30.0
"""Far above what is promised: a busy machine is no fault."""

_TOPICS: Final = ("REVIEWS", "OVERRIDES", "DECISIONS", "FEEDBACK", "ERASURES", "STATE", "POLICIES")
_COMPACTED: Final = ("OVERRIDES", "ERASURES", "STATE", "POLICIES")
_OF_ONE: Final = ("ERASURES", "POLICIES")


@pytest.fixture
def settings(stack: LocalStack, settings: Settings, topics: Topics, n_partitions: int) -> Settings:
    """Return the settings of a worker and of the consoles that follow it: every topic is on and there."""
    mark = uuid4().hex[:8]
    named = {name: f"verdict-{name.lower()}-{mark}" for name in _TOPICS}
    stack.kafka.create_topics({topic: 1 if name in _OF_ONE else n_partitions for name, topic in named.items()})
    admin = admin_client(topics.bootstrap_servers)
    for name in _COMPACTED:
        configure_topic(admin, named[name], {"cleanup.policy": "compact"})
    return settings | {
        **{f"MODERATION_KAFKA__{name}_TOPIC": topic for name, topic in named.items()},
        "MODERATION_ERASURE__HASH_KEY": HASH_KEY,
    }


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Return the database's address; overridden where it is a PostgreSQL."""
    return f"sqlite:///{tmp_path / 'console.sqlite3'}"


StartConsole = Callable[..., ConsoleProcess]


@pytest.fixture
def start_console(settings: Settings, database: str, tmp_path: Path) -> Iterator[StartConsole]:
    """Return a function that starts a console; keyword arguments are its settings, CONSOLE_ left out."""
    started: list[ConsoleProcess] = []

    def start(**overrides: str) -> ConsoleProcess:
        folder = tmp_path / f"console-{len(started)}"
        folder.mkdir()
        usual = {"PIPELINE__IS_ON": "true", "STORE__URL": database, "REVIEW__UNDO_S": "0", "MODEL__N_THREADS": "1"}
        named = {f"CONSOLE_{name}": value for name, value in (usual | overrides).items()}
        started.append(ConsoleProcess(child_environment(os.environ, settings) | named, folder))
        return started[-1]

    yield start
    for console in started:
        console.kill()
        # Shown by pytest where the test failed, and only there.
        print(f"{console.log_path}: {console.tail()}")  # noqa: T201


@dataclass(frozen=True)
class Reviewer:
    """A person who reviews over the API, on a port without keys: everybody is `local`."""

    console: ConsoleProcess

    def open_items(self) -> list[dict[str, Any]]:
        """Return the open items of the queue, at most a hundred."""
        status, found = self.console.ask("GET", "/v1/reviews?limit=100")
        assert status == HTTPStatus.OK, found
        items: list[dict[str, Any]] = found["items"]
        return items

    def wait_for(self, n_items: int) -> list[dict[str, Any]]:
        """Wait until so many items are open; return them."""

        def there() -> list[dict[str, Any]] | None:
            found = self.open_items()
            return found if len(found) >= n_items else None

        return wait_until(there, timeout_s=60, what=lambda: f"{len(self.open_items())} of {n_items} items are open")

    def claim(self, item_id: int) -> str:
        """Claim an item; return the token."""
        status, found = self.console.ask("POST", f"/v1/reviews/{item_id}/claim", {})
        assert status == HTTPStatus.OK, found
        return str(found["token"])

    def answer(self, item_id: int, outcome: str, **wish: Any) -> dict[str, Any]:
        """Claim an item and answer it; return what the console says of the answer."""
        token = self.claim(item_id)
        body = {"token": token, "outcome": outcome, "reason": "policy_violation", **wish}
        status, found = self.console.ask("POST", f"/v1/reviews/{item_id}/answer", body)
        assert status == HTTPStatus.OK, found
        return dict(found)


def overrides_seen(stack: LocalStack, topic: str, chat_id: str) -> list[Verdict]:
    """Return the committed verdicts of people on a chat, in order."""
    records = read_all(stack.bootstrap_servers, [topic], properties=READER)
    found = [decode_verdict(one.value or b"") for one in records if one.key == chat_id.encode()]
    return [one for one in found if one.kind is VerdictKind.OVERRIDE]


def cached(cache: "redis.Redis", chat_id: str) -> Verdict | None:
    """Return the verdict that Redis shows; None where it shows none."""
    raw = cache.get(cache_key(chat_id))
    return None if raw is None else decode_verdict(raw)  # type: ignore[arg-type]  # the client is synchronous


def seconds_until(condition: Callable[[], object], what: Callable[[], str]) -> float:
    """Wait for a condition and return how long it took."""
    started = time.perf_counter()
    wait_until(condition, timeout_s=PATIENCE_S, what=what)
    return time.perf_counter() - started


def rows(database: str, query: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
    """Ask a SQLite database, as somebody who looks into the file."""
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection:
        return connection.execute(query, values or {}).fetchall()


def decisions_of(stack: LocalStack, settings: Settings) -> list[dict[str, Any]]:
    """Return the audit log's committed records, in order."""
    topic = settings["MODERATION_KAFKA__DECISIONS_TOPIC"]
    return [orjson.loads(one.value or b"") for one in read_all(stack.bootstrap_servers, [topic], properties=READER)]


def reports_of(stack: LocalStack, settings: Settings) -> list[Feedback]:
    """Return the committed reports, in order."""
    topic = settings["MODERATION_KAFKA__FEEDBACK_TOPIC"]
    return [decode_feedback(one.value) for one in read_all(stack.bootstrap_servers, [topic], properties=READER)]
