"""Database, Kafka or server away: a banner says so, and no answer is lost or counted twice."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import expect
from sqlalchemy import create_engine, select

from console.store.tables import answers
from tests.console.pages.review.conftest import Desk, OpenAs, wait_for_text
from tests.console.pages.review.rows import put_many

TITLE = "#item-title"


@contextmanager
def _database_away(desk: Desk) -> Iterator[None]:
    """Let the console ask a database at an address where nobody listens."""
    store = desk.store
    real = store._engine
    store._engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none", connect_args={"connect_timeout": 1})
    try:
        yield
    finally:
        store._engine.dispose()
        store._engine = real


def test_answers_are_kept_and_sent_once_the_database_is_back(desk: Desk, open_as: OpenAs) -> None:
    """The banner says so; the item that is read can be answered; each answer counts once."""
    put_many(desk.store, desk.texts, 5)
    page = open_as(desk)
    wait_for_text(page)
    banner = page.get_by_role("alert").filter(has_text="The database does not answer")
    with _database_away(desk):
        page.keyboard.press("b")
        expect(banner).to_be_visible()
        expect(page.locator(TITLE)).to_contain_text("Review 2")
        page.keyboard.press("a")
        expect(page.locator("#pending")).to_have_text("2 answers kept here, not sent yet")
    expect(banner).to_be_hidden()
    expect(page.locator("#pending")).to_be_empty()
    expect(page.locator(TITLE)).to_contain_text("Review 3")
    with desk.store.reading() as connection:
        found = connection.execute(select(answers.c.item_id, answers.c.outcome).order_by(answers.c.id)).all()
    assert [tuple(row) for row in found] == [(1, "block"), (2, "allow")]


def test_an_answer_that_waits_can_be_taken_back(desk: Desk, open_as: OpenAs) -> None:
    """What was not sent yet never is."""
    put_many(desk.store, desk.texts, 4)
    page = open_as(desk)
    wait_for_text(page)
    with _database_away(desk):
        page.keyboard.press("b")
        expect(page.locator(TITLE)).to_contain_text("Review 2")
        page.keyboard.press("a")
        expect(page.locator("#pending")).to_contain_text("2 answers kept")
        page.keyboard.press("z")
        expect(page.locator(TITLE)).to_contain_text("Review 2")
    expect(page.locator("#pending")).to_be_empty()
    expect(page.locator("#undo-what")).to_contain_text("Blocked item 1")
    with desk.store.reading() as connection:
        assert connection.execute(select(answers.c.item_id)).scalars().all() == [1]


def test_without_kafka_the_page_says_so_and_the_text_comes_by_itself(desk: Desk, open_as: OpenAs) -> None:
    """Meanwhile answers are taken."""
    put_many(desk.store, desk.texts, 3)
    desk.texts.is_away = True
    page = open_as(desk)
    banner = page.get_by_role("alert").filter(has_text="Kafka does not answer")
    expect(banner).to_be_visible()
    page.keyboard.press("b")
    expect(page.locator(TITLE)).to_contain_text("Review 2")
    expect(page.locator("#undo-what")).to_contain_text("left")
    desk.texts.is_away = False
    wait_for_text(page)
    expect(banner).to_be_hidden()


def test_without_the_server_the_answer_waits(desk: Desk, open_as: OpenAs) -> None:
    """As every page, this one says so and goes on by itself."""
    put_many(desk.store, desk.texts, 3)
    page = open_as(desk)
    wait_for_text(page)
    page.context.set_offline(True)
    page.keyboard.press("b")
    banner = page.get_by_role("alert").filter(has_text="The server does not answer")
    expect(banner).to_be_visible()
    page.context.set_offline(False)
    expect(banner).to_be_hidden()
    expect(page.locator("#undo-what")).to_contain_text("Blocked item 1: ")
    with desk.store.reading() as connection:
        assert connection.execute(select(answers.c.item_id)).scalars().all() == [1]
