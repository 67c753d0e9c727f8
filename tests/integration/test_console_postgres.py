"""Consoles on PostgreSQL: two side by side, and a database that goes away while people work."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, Final

import psycopg
import pytest
import redis

from deploy.local import LocalStack
from testkit.waiting import wait_until
from tests.console.postgres import Postgres, running_postgres
from tests.integration.conftest import Settings, StartWorker
from tests.integration.console_rig import (
    PATIENCE_S,
    Reviewer,
    StartConsole,
    decisions_of,
    settings,
    start_console,
    wait_as_decided,
)
from tests.integration.ledger import LiveLedger

__all__ = ["settings", "start_console"]

pytestmark = [pytest.mark.services, pytest.mark.console]

N_ANSWERS: Final = 12


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """Return a real PostgreSQL."""
    with running_postgres() as running:
        yield running


@pytest.fixture
def database(server: Postgres) -> str:
    """Return the address of a database of this test's own."""
    return server.new_database()


def ask_database(database: str, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with psycopg.connect(database.replace("+psycopg", "")) as connection:
        return connection.execute(query.encode()).fetchall()


def test_two_consoles_side_by_side_make_one_item_a_review_and_send_each_answer_once(
    *,
    ledger: LiveLedger,
    start_worker: StartWorker,
    start_console: StartConsole,
    sample_chats: list[dict[str, Any]],
    stack: LocalStack,
    settings: Settings,
    database: str,
    cache: "redis.Redis",
) -> None:
    """Both read the topic, both send, and people use either: a lease and a unique row keep it at one."""
    start_worker()
    consoles = [start_console(), start_console()]
    ledger.send(sample_chats[:400])
    ledger.wait_complete()
    n_asked = len({one.verdict_id for one in ledger.verdicts().values() if one.decision.value == "review"})
    people = [Reviewer(console) for console in consoles]
    wait_until(
        lambda: ask_database(database, "SELECT count(*) FROM items WHERE kind = 'review'") == [(n_asked,)],
        timeout_s=60,
        what=lambda: f"{n_asked} reviews; {consoles[0].tail()}",
    )
    items = people[0].take(N_ANSWERS)
    with ThreadPoolExecutor(4) as pool:
        answered = list(pool.map(lambda pair: people[pair[0] % 2].answer(pair[1], "block"), list(enumerate(items))))
    wait_as_decided(cache, {item.chat_id: "block" for item in items}, consoles[0])
    told = Counter(one["decision_id"] for one in decisions_of(stack, settings))
    assert told == dict.fromkeys([one["decision_id"] for one in answered], 1)


def test_a_console_whose_twin_is_killed_takes_over_what_it_was_doing(
    *,
    ledger: LiveLedger,
    start_worker: StartWorker,
    start_console: StartConsole,
    sample_chats: list[dict[str, Any]],
    stack: LocalStack,
    settings: Settings,
    database: str,
) -> None:
    """A lease that nobody renews ends; the other console reads and sends from where the dead one was."""
    start_worker()
    first = start_console(REVIEW__UNDO_S="3")
    ledger.send(sample_chats[:200])
    ledger.wait_complete()
    people = Reviewer(first)
    second = start_console(REVIEW__UNDO_S="3")
    second.address()
    answered = [people.answer(item, "block") for item in people.take(2)]
    first.kill()
    ledger.send(sample_chats[200:400])
    ledger.wait_complete()
    n_asked = len({one.verdict_id for one in ledger.verdicts().values() if one.decision.value == "review"})
    wait_until(
        lambda: ask_database(database, "SELECT count(*) FROM items WHERE kind = 'review'") == [(n_asked,)],
        timeout_s=120,
        what=second.tail,
    )
    wait_until(
        lambda: (
            {one["decision_id"] for one in decisions_of(stack, settings)} == {one["decision_id"] for one in answered}
        ),
        timeout_s=120,
        what=second.tail,
    )


def test_while_the_database_is_away_answers_are_refused_and_afterwards_taken(
    *,
    ledger: LiveLedger,
    start_worker: StartWorker,
    start_console: StartConsole,
    sample_chats: list[dict[str, Any]],
    server: Postgres,
    cache: "redis.Redis",
) -> None:
    """A refusal says so and nothing is half written; the claim still stands when the database is back."""
    start_worker()
    console = start_console()
    ledger.send(sample_chats[:200])
    ledger.wait_complete()
    person = Reviewer(console)
    (item,) = person.take(1)
    body = item.wish("block")
    server.stop()
    try:
        status, refused = console.ask("POST", "/review/answer", body)
        assert status == HTTPStatus.SERVICE_UNAVAILABLE, refused
        assert "database" in refused["error"]["message"]
        assert console.ask("GET", "/livez")[0] == HTTPStatus.OK
        # What needs no database answers as before.
        assert console.ask("POST", "/v1/classify", {"text": "hello"})[0] == HTTPStatus.OK
    finally:
        server.start()

    def is_taken() -> bool:
        return console.ask("POST", "/review/answer", body)[0] == HTTPStatus.OK

    wait_until(is_taken, timeout_s=PATIENCE_S, what=console.tail)
    wait_as_decided(cache, {item.chat_id: "block"}, console, timeout_s=60)
