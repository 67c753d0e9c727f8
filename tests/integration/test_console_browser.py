"""The page Review in a real Chromium over the whole pipeline: the keys of a person, and what reaches the ad server."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
import redis
from playwright.sync_api import Browser, Page, expect

from deploy.local import LocalStack
from testkit.waiting import wait_until
from tests.console.pages.browser import launched
from tests.console.postgres import Postgres, running_postgres
from tests.integration.conftest import Settings, StartWorker
from tests.integration.console_rig import (
    StartConsole,
    decisions_of,
    settings,
    start_console,
    wait_as_decided,
)
from tests.integration.ledger import LiveLedger

__all__ = ["settings", "start_console"]

pytestmark = [pytest.mark.services, pytest.mark.console]

AFTER_OUTAGE_S: Final = 60.0
KEYS: Final = {"block": ["b", "1"], "allow": ["a"]}
"""`block` asks for a reason, which is chosen by a digit."""


# Not for the whole session: while playwright runs, this thread has an event loop, and other tests make their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a real Chromium."""
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """Return a real PostgreSQL."""
    with running_postgres() as running:
        yield running


@pytest.fixture
def database(server: Postgres) -> str:
    """Return the address of a database of this test's own."""
    return server.new_database()


OpenReview = Callable[[str], Page]


@pytest.fixture
def open_review(browser: Browser) -> Iterator[OpenReview]:
    """Return a function that opens the page Review of a console; a page that threw fails the test."""
    faults: list[str] = []
    context = browser.new_context()

    def open_one(address: str) -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{address}/review")
        return page

    yield open_one
    context.close()
    assert faults == []


def chat_in(page: Page, chats: list[dict[str, Any]]) -> str:
    """Return the id of the chat whose text the page shows."""
    expect(page.locator("#text .turn").first).to_be_visible()
    shown = page.locator("#text").inner_text()
    # The longest text that is there: short ones are parts of others.
    there = [one for one in chats if all(text(turn) in squeezed(shown) for turn in one["messages"])]
    return str(max(there, key=lambda one: sum(len(turn["content"]) for turn in one["messages"]))["chat_id"])


def squeezed(words: str) -> str:
    """Return a text as it is compared: blanks are the layout's."""
    return " ".join(words.split())


def text(turn: dict[str, Any]) -> str:
    """Return a turn's text as it is compared."""
    return squeezed(str(turn["content"]))


def decide(page: Page, chats: list[dict[str, Any]], outcome: str) -> str:
    """Read the item by keyboard and answer it; return its chat."""
    title = page.locator("#item-title").inner_text()
    page.keyboard.press("Space")
    chat_id = chat_in(page, chats)
    for key in KEYS[outcome]:
        page.keyboard.press(key)
    expect(page.locator("#item-title")).not_to_have_text(title)
    return chat_id


def test_what_a_person_decides_by_keyboard_reaches_topic_and_ad_server(
    *,
    ledger: LiveLedger,
    start_worker: StartWorker,
    start_console: StartConsole,
    open_review: OpenReview,
    sample_chats: list[dict[str, Any]],
    stack: LocalStack,
    settings: Settings,
    cache: "redis.Redis",
) -> None:
    """The whole way, with nothing but keys."""
    start_worker()
    console = start_console()
    ledger.send(sample_chats[:200])
    ledger.wait_complete()
    page = open_review(console.address())
    expect(page.locator("#reveal")).to_be_visible()
    decided = {decide(page, sample_chats[:200], outcome): outcome for outcome in ("block", "allow", "block")}
    wait_as_decided(cache, decided, console)
    told = decisions_of(stack, settings)
    assert sorted(one["decision"] for one in told) == ["allow", "block", "block"]
    assert {one["actor"] for one in told} == {"local"}


def test_a_page_says_what_is_away_keeps_what_was_said_and_goes_on_by_itself(
    *,
    ledger: LiveLedger,
    start_worker: StartWorker,
    start_console: StartConsole,
    open_review: OpenReview,
    sample_chats: list[dict[str, Any]],
    stack: LocalStack,
    server: Postgres,
    cache: "redis.Redis",
) -> None:
    """Database, then Kafka, then the console itself: nobody loads the page anew."""
    start_worker()
    console = start_console()
    ledger.send(sample_chats[:200])
    ledger.wait_complete()
    page = open_review(console.address())
    expect(page.locator("#reveal")).to_be_visible()
    first = decide(page, sample_chats[:200], "block")
    page.keyboard.press("Space")
    second = chat_in(page, sample_chats[:200])
    server.stop()
    try:
        for key in KEYS["block"]:
            page.keyboard.press(key)
        expect(page.locator("#away")).to_be_visible()
        expect(page.locator("#away")).to_contain_text("database")
    finally:
        server.start()
    expect(page.locator("#away")).to_be_hidden()
    wait_as_decided(cache, {first: "block", second: "block"}, console, timeout_s=AFTER_OUTAGE_S)
    stack.kafka.stop_broker(0)
    try:
        page.reload()
        page.keyboard.press("Space")
        expect(page.locator("#kafka-away")).to_be_visible()
    finally:
        stack.kafka.start_broker(0)
    expect(page.locator("#kafka-away")).to_be_hidden()
    expect(page.locator("#text .turn").first).to_be_visible()
    wait_until(lambda: console.exit_code is None, what=console.tail)
