"""Undo: before an answer is sent, after it, of older answers and of skips."""

import re

from playwright.sync_api import expect
from sqlalchemy import select, update

from console.store.tables import answers, claims, items, outbox
from tests.console.pages.review.conftest import Desk, OpenAs, StartDesk, wait_for_text
from tests.console.pages.review.rows import put_many

TITLE = "#item-title"


def _rows(desk: Desk) -> list[tuple[str, bool]]:
    with desk.store.reading() as connection:
        found = connection.execute(select(outbox.c.kind, outbox.c.cancelled_ms).order_by(outbox.c.id))
        return [(kind, cancelled is not None) for kind, cancelled in found]


def test_before_it_is_sent_nothing_leaves(desk: Desk, open_as: OpenAs) -> None:
    """The item is back at once, and the same person's; the second answer is the one that counts."""
    put_many(desk.store, desk.texts, 3)
    page = open_as(desk)
    wait_for_text(page)
    first = page.locator(TITLE).inner_text()
    page.keyboard.press("b")
    expect(page.locator("#undo-what")).to_contain_text("s left")
    page.keyboard.press("z")
    expect(page.locator(TITLE)).to_have_text(first)
    expect(page.locator("#said")).to_contain_text("open again, and yours")
    assert all(is_cancelled for _, is_cancelled in _rows(desk))
    page.keyboard.press("a")
    expect(page.locator(TITLE)).not_to_have_text(first)
    expect(page.locator("#undo-what")).to_contain_text("Allowed")
    expect(page.locator("#undo-what")).to_contain_text("s left")
    with desk.store.reading() as connection:
        found = connection.execute(select(answers.c.outcome, answers.c.undone_ms).order_by(answers.c.id)).all()
    assert [(outcome, undone is None) for outcome, undone in found] == [("block", False), ("allow", True)]


def test_after_it_is_sent_a_correction_follows(start_desk: StartDesk, open_as: OpenAs) -> None:
    """The strip says that it is sent; Z still works, and writes the opposite."""
    desk = start_desk(undo_s=0)
    put_many(desk.store, desk.texts, 2)
    page = open_as(desk)
    wait_for_text(page)
    first = page.locator(TITLE).inner_text()
    page.keyboard.press("b")
    expect(page.locator("#undo-what")).to_contain_text("sent")
    with desk.store.writing() as connection:
        connection.execute(update(outbox).values(started_ms=1, sent_ms=2))
    page.keyboard.press("z")
    expect(page.locator(TITLE)).to_have_text(first)
    assert "override_clear" in [kind for kind, _ in _rows(desk)]
    # What Redis shows does not change with it: a worker decides anew at the chat's next event.
    expect(page.locator("#said")).to_contain_text("stands until you answer anew or the chat goes on")


def test_older_answers_are_taken_back_from_the_list(desk: Desk, open_as: OpenAs) -> None:
    """The tab Mine has them, also after the page was closed; the item opens in Judge."""
    put_many(desk.store, desk.texts, 3)
    page = open_as(desk)
    wait_for_text(page)
    for key in "as":
        before = page.locator(TITLE).inner_text()
        page.keyboard.press(key)
        expect(page.locator(TITLE)).not_to_have_text(before)
    expect(page.locator("#undo-what")).to_have_text(re.compile(r"^Skipped item \d+: nothing is sent$"))
    page.reload()
    wait_for_text(page)
    page.get_by_role("tab", name="Mine").click()
    expect(page.locator("#recent tr")).to_have_count(2)
    expect(page.locator("#recent")).to_contain_text("allow")
    page.locator("#recent tr", has_text="allow").get_by_role("button", name="Take back").click()
    expect(page.get_by_role("tab", name="Judge")).to_have_attribute("aria-selected", "true")
    expect(page.locator(TITLE)).to_contain_text("Review 1 ")
    with desk.store.reading() as connection:
        assert connection.execute(select(items.c.state).where(items.c.id == 1)).scalar_one() == "open"
        assert connection.execute(select(claims.c.reviewer).where(claims.c.item_id == 1)).scalar_one() == "ada"


def test_an_answer_that_is_sent_twice_counts_once(desk: Desk) -> None:
    """The page's name for it is the decision's id: the same answer comes back."""
    put_many(desk.store, desk.texts, 1)
    claim = desk.ask("ada", "/review/claim", {}).json["claim"]
    body = {"item_id": 1, "token": claim["token"], "decision_id": "0" * 32, "outcome": "block"}
    first, second = (desk.ask("ada", "/review/answer", body) for _ in range(2))
    assert first.status == second.status == 200
    names = ("answer_id", "decision_id", "sends_at_ms")
    assert [first.json[name] for name in names] == [second.json[name] for name in names]
    with desk.store.reading() as connection:
        assert len(connection.execute(select(answers)).all()) == 1
    stolen = desk.ask("ben", "/review/answer", body)
    assert stolen.status == 409
