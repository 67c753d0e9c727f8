"""What a person decided is decided, whatever dies meanwhile: the console, Kafka, Redis.

Invariant of all: for a reader that keeps one record of each decision_id nothing is lost and nothing is doubled, and the
newest verdict is as the person decided.
"""

import random
import signal
from http import HTTPStatus
from typing import Any, Final

import pytest
import redis

from deploy.local import LocalStack
from testkit.waiting import wait_until
from tests.integration.conftest import Settings, StartWorker
from tests.integration.console_rig import (
    PATIENCE_S,
    Reviewer,
    StartConsole,
    database,
    decisions_of,
    reports_of,
    rows,
    settings,
    start_console,
    wait_as_decided,
)
from tests.integration.ledger import LiveLedger

__all__ = ["database", "settings", "start_console"]

pytestmark = [pytest.mark.services, pytest.mark.console]

LONG_UNDO_S: Final = "3"
"""Between an answer and its sending: time to kill a console in."""
AFTER_OUTAGE_S: Final = 60.0
N_KILLS: Final = 4
N_EACH: Final = 3


@pytest.fixture
def filled(ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]) -> LiveLedger:
    """Return the ledger of a pipeline that a worker has judged 400 chats on; the worker goes on."""
    start_worker()
    ledger.send(sample_chats[:400])
    ledger.wait_complete()
    return ledger


def assert_told_once(stack: LocalStack, settings: Settings, database: str, answered: list[dict[str, Any]]) -> None:
    """Each answer is one decision and one report, by their ids; nothing waits and nothing was refused."""
    wait_until(
        lambda: rows(database, "SELECT count(*) FROM outbox WHERE sent_ms IS NULL") == [(0,)],
        timeout_s=AFTER_OUTAGE_S,
        what=lambda: str(rows(database, "SELECT kind, n_tries, error FROM outbox WHERE sent_ms IS NULL")),
    )
    told = decisions_of(stack, settings)
    assert {one["decision_id"] for one in told} == {one["decision_id"] for one in answered}
    # A repeat says the same, so that whoever keeps the first or the last of an id has the same.
    assert len({tuple(map(str, one.values())) for one in told}) == len(answered)
    reports = {(one.verdict_id, one.reporter, one.decision) for one in reports_of(stack, settings)}
    assert len(reports) == len(answered)


def test_a_console_killed_between_an_answer_and_its_sending_loses_and_doubles_nothing(
    *,
    filled: LiveLedger,  # noqa: ARG001
    start_console: StartConsole,
    stack: LocalStack,
    settings: Settings,
    database: str,
    cache: "redis.Redis",
) -> None:
    """The answer was committed, its sending had not begun: the next console sends it."""
    console = start_console(REVIEW__UNDO_S=LONG_UNDO_S)
    reviewer = Reviewer(console)
    decided, answered = {}, []
    for number, item in enumerate(reviewer.take(N_EACH)):
        outcome = ("block", "allow")[number % 2]
        answered.append(reviewer.answer(item, outcome))
        decided[item.chat_id] = outcome
    console.kill()
    assert rows(database, "SELECT count(*) FROM outbox WHERE sent_ms IS NOT NULL") == [(0,)]
    n_read = rows(database, "SELECT count(*) FROM items WHERE kind = 'review'")
    following = start_console()
    wait_as_decided(cache, decided, following)
    assert_told_once(stack, settings, database, answered)
    assert rows(database, "SELECT count(*) FROM items WHERE kind = 'review'") == n_read


def test_consoles_killed_at_random_points_lose_and_double_nothing(
    *,
    filled: LiveLedger,  # noqa: ARG001
    start_console: StartConsole,
    stack: LocalStack,
    settings: Settings,
    database: str,
    cache: "redis.Redis",
) -> None:
    """Before, while and right after a sending, of which the killed one can say nothing any more."""
    dice = random.Random(7)  # noqa: S311  weather, no secret
    decided, answered = {}, []
    for _ in range(N_KILLS):
        console = start_console()
        reviewer = Reviewer(console)
        for item in reviewer.take(N_EACH):
            outcome = dice.choice(("allow", "block"))
            answered.append(reviewer.answer(item, outcome))
            decided[item.chat_id] = outcome
        # So many decisions on the topic, or none of these yet: the kill comes in the middle.
        n_wanted = len(answered) - dice.randrange(N_EACH + 1)
        wait_until(
            lambda n_wanted=n_wanted: len(decisions_of(stack, settings)) >= n_wanted,  # type: ignore[misc]
            timeout_s=PATIENCE_S,
            what=console.tail,
        )
        console.kill()
    last = start_console()
    wait_as_decided(cache, decided, last)
    assert_told_once(stack, settings, database, answered)


def test_without_kafka_people_answer_and_what_they_said_is_sent_once_it_is_back(
    *,
    filled: LiveLedger,
    start_console: StartConsole,
    stack: LocalStack,
    settings: Settings,
    database: str,
    cache: "redis.Redis",
    sample_chats: list[dict[str, Any]],
) -> None:
    """A broker that is away stops no reviewer; the same console goes on by itself, and so does its reading."""
    console = start_console()
    reviewer = Reviewer(console)
    items = reviewer.take(N_EACH)
    decided, answered = {}, []
    stack.kafka.stop_broker(0)
    try:
        for item in items:
            answered.append(reviewer.answer(item, "block"))
            decided[item.chat_id] = "block"
        assert console.ask("GET", "/livez")[0] == HTTPStatus.OK
    finally:
        stack.kafka.start_broker(0)
    wait_as_decided(cache, decided, console, timeout_s=AFTER_OUTAGE_S)
    assert_told_once(stack, settings, database, answered)
    n_before = rows(database, "SELECT count(*) FROM items WHERE kind = 'review'")
    filled.send(sample_chats[400:600])
    filled.wait_complete()
    wait_until(
        lambda: rows(database, "SELECT count(*) FROM items WHERE kind = 'review'") > n_before,
        timeout_s=AFTER_OUTAGE_S,
        what=console.tail,
    )


def test_without_redis_people_answer_and_the_ad_server_sees_it_once_redis_is_back(
    *,
    filled: LiveLedger,  # noqa: ARG001
    start_console: StartConsole,
    stack: LocalStack,
    settings: Settings,
    database: str,
    cache: "redis.Redis",
) -> None:
    """The console writes Redis never; the worker owes it what it missed."""
    console = start_console()
    reviewer = Reviewer(console)
    items = reviewer.take(N_EACH)
    decided, answered = {}, []
    stack.redis.stop()
    try:
        for item in items:
            answered.append(reviewer.answer(item, "block"))
            decided[item.chat_id] = "block"
        wait_until(lambda: len(decisions_of(stack, settings)) >= N_EACH, timeout_s=PATIENCE_S, what=console.tail)
        assert console.ask("GET", f"/v1/verdicts/{items[0].chat_id}")[0] in {
            HTTPStatus.OK,
            HTTPStatus.SERVICE_UNAVAILABLE,
        }
    finally:
        stack.redis.start()
    wait_as_decided(cache, decided, console, timeout_s=AFTER_OUTAGE_S)
    assert_told_once(stack, settings, database, answered)


def test_sigterm_ends_a_console_in_order(*, filled: LiveLedger, start_console: StartConsole) -> None:  # noqa: ARG001
    """Threads and all, with exit code 0."""
    console = start_console()
    Reviewer(console).take(1)
    console.send(signal.SIGTERM)
    assert console.stop() == 0, console.tail()
    assert "Traceback" not in console.tail()
