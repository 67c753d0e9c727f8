"""Consoles on a real pipeline: topics, worker, database, and the steps of a person who reviews.

Invariant: nothing here imports the console; its extra may be missing where this folder is collected.
"""

import os
import sqlite3
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
class Held:
    """An item that a person has claimed."""

    item_id: int
    chat_id: str
    token: str

    def wish(self, outcome: str, **wish: Any) -> dict[str, Any]:
        """Return an answer as the page Review sends it."""
        usual = {"reason": "policy_violation", "decision_id": uuid4().hex}
        return {"item_id": self.item_id, "token": self.token, "outcome": outcome, **usual, **wish}


@dataclass(frozen=True)
class Reviewer:
    """A person before the page Review, by its routes, on a port without keys: everybody is `local`."""

    console: ConsoleProcess

    def asked(self, path: str, document: dict[str, Any]) -> Any:
        """Ask one route of the page; anything but a 200 fails the test."""
        status, found = self.console.ask("POST", f"/review/{path}", document)
        assert status == HTTPStatus.OK, f"{path}: {status} {found}"
        return found

    def claim_next(self) -> Held | None:
        """Claim the next review; None where the queue is empty."""
        claim = self.asked("claim", {"kind": "review", "order": "age"})["claim"]
        return None if claim is None else Held(claim["item"]["id"], claim["item"]["chat_id"], claim["token"])

    def take(self, n_items: int) -> list[Held]:
        """Claim so many reviews; waits until they are there."""
        return [
            wait_until(self.claim_next, timeout_s=60, what=lambda: f"no item to claim: {self.console.tail()}")
            for _ in range(n_items)
        ]

    def answer(self, held: Held, outcome: str, **wish: Any) -> dict[str, Any]:
        """Answer an item; return what the console says of the answer."""
        return dict(self.asked("answer", held.wish(outcome, **wish)))

    def text(self, held: Held) -> dict[str, Any]:
        """Ask for an item's text."""
        return dict(self.asked("text", {"item_id": held.item_id}))


def cached(cache: "redis.Redis", chat_id: str) -> Verdict | None:
    """Return the verdict that Redis shows; None where it shows none."""
    raw = cache.get(cache_key(chat_id))
    return None if raw is None else decode_verdict(raw)  # type: ignore[arg-type]  # the client is synchronous


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


def is_as_decided(cache: "redis.Redis", chat_id: str, outcome: str) -> bool:
    """Say whether the ad server sees what the person said."""
    shown = cached(cache, chat_id)
    return shown is not None and shown.kind is VerdictKind.OVERRIDE and shown.decision.value == outcome


def wait_as_decided(
    cache: "redis.Redis", decided: Mapping[str, str], console: ConsoleProcess, *, timeout_s: float = PATIENCE_S
) -> None:
    """Wait until the ad server sees everything that was decided, by chat."""
    wait_until(
        lambda: all(is_as_decided(cache, chat_id, outcome) for chat_id, outcome in decided.items()),
        timeout_s=timeout_s,
        what=lambda: f"{[one for one in decided.items() if not is_as_decided(cache, *one)]}: {console.tail()}",
    )
