"""Judging by keyboard alone."""

from playwright.sync_api import Page, expect
from sqlalchemy import select

from console.store.tables import answers, outbox
from tests.console.pages.review.conftest import Desk, OpenAs, StartDesk, wait_for_text, wait_until_taken
from tests.console.pages.review.rows import put, put_many, user


def _answers(desk: Desk) -> list[tuple[int, str, str | None]]:
    with desk.store.reading() as connection:
        wanted = select(answers.c.item_id, answers.c.outcome, answers.c.category).where(answers.c.undone_ms.is_(None))
        return [tuple(row) for row in connection.execute(wanted.order_by(answers.c.id))]


def _title(page: Page) -> str:
    return page.locator("#item-title").inner_text()


def _press(page: Page, key: str) -> None:
    """Press a key and wait until another item is there."""
    before = _title(page)
    page.keyboard.press(key)
    expect(page.locator("#item-title")).not_to_have_text(before)
    expect(page.locator("#item-title")).not_to_have_text("Claiming the next item…")


def test_ten_items_are_judged_by_keyboard_alone(desk: Desk, open_as: OpenAs) -> None:
    """Allow, block, another category, skip, a note, and undo: never a mouse, never a dialog."""
    put_many(desk.store, desk.texts, 12)
    page = open_as(desk)
    wait_for_text(page)
    for n in range(6):
        page.keyboard.press("Space")
        _press(page, "ab"[n % 2])
    # 5 is the fifth of the categories, the banned ones first: D, J, M, A, B.
    page.keyboard.press("5")
    expect(page.locator("#said")).to_contain_text("Enter: allow")
    _press(page, "Enter")
    page.keyboard.press("n")
    page.keyboard.type("allowed, as the user asks about 1984")
    page.keyboard.press("Enter")
    _press(page, "a")
    _press(page, "s")
    _press(page, "b")
    expect(page.locator("#undo-what")).to_contain_text("Blocked")
    wait_until_taken(page)
    found = _answers(desk)
    assert len(found) == 10
    assert [outcome for _, outcome, _ in found] == [*["allow", "block"] * 3, "allow", "allow", "skip", "block"]
    assert found[6][2] == "B"
    with desk.store.reading() as connection:
        kinds = connection.execute(select(outbox.c.kind)).scalars().all()
        notes = connection.execute(select(answers.c.note).where(answers.c.note.is_not(None))).scalars().all()
    assert kinds.count("override_set") == 9
    assert notes == ["allowed, as the user asks about 1984"]


def test_a_reason_is_asked_for_where_the_settings_say_so(start_desk: StartDesk, open_as: OpenAs) -> None:
    """B, then the number of the reason; allow needs none."""
    desk = start_desk(reason_needed="block")
    put_many(desk.store, desk.texts, 3)
    page = open_as(desk)
    wait_for_text(page)
    before = _title(page)
    page.keyboard.press("b")
    expect(page.locator("#reason-row")).to_have_attribute("data-armed", "true")
    expect(page.locator("#said")).to_contain_text("1 Policy violation")
    page.keyboard.press("Escape")
    expect(page.locator("#reason-row")).to_have_attribute("data-armed", "false")
    assert _title(page) == before
    page.keyboard.press("b")
    _press(page, "1")
    _press(page, "a")
    expect(page.locator("#undo-what")).to_contain_text("Allowed")
    wait_until_taken(page)
    with desk.store.reading() as connection:
        rows = connection.execute(select(answers.c.outcome, answers.c.reason).order_by(answers.c.id)).all()
    assert [tuple(row) for row in rows][:1] == [("block", "policy_violation")]


def test_the_page_says_by_the_items_queue_what_needs_a_reason(start_desk: StartDesk, open_as: OpenAs) -> None:
    """And asks for it before anything is sent."""
    desk = start_desk(reason_needed="block,strict:allow")
    put(desk.store, desk.texts, 0, user("one"), queue="strict", risk=0.9)
    put(desk.store, desk.texts, 1, user("two"), risk=0.1)
    page = open_as(desk)
    wait_for_text(page)
    expect(page.locator("#reason-rule")).to_have_text("needed to allow")
    page.keyboard.press("a")
    expect(page.locator("#reason-row")).to_have_attribute("data-armed", "true")
    page.keyboard.press("Escape")
    _press(page, "b")
    expect(page.locator("#reason-rule")).to_have_text("needed to block")


def test_next_and_previous_keep_items_claimed(desk: Desk, open_as: OpenAs) -> None:
    """J leaves an item unanswered and K comes back to it."""
    put_many(desk.store, desk.texts, 4)
    page = open_as(desk)
    wait_for_text(page)
    first = _title(page)
    _press(page, "j")
    second = _title(page)
    _press(page, "k")
    assert _title(page) == first
    _press(page, "j")
    assert _title(page) == second


def test_the_help_lists_the_keys_and_single_keys_can_be_switched_off(desk: Desk, open_as: OpenAs) -> None:
    """? opens it and Esc closes it; the choice is kept."""
    put_many(desk.store, desk.texts, 2)
    page = open_as(desk)
    wait_for_text(page)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    expect(page.locator("#keys dt")).to_have_count(14)
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.locator("#looks summary").click()
    page.get_by_label("single keys").uncheck()
    before = _title(page)
    page.get_by_role("heading", name="Review", exact=True).click()
    page.keyboard.press("b")
    assert _title(page) == before
    page.reload()
    wait_for_text(page)
    assert not page.get_by_label("single keys", exact=True).is_checked()


def test_every_action_works_by_mouse_and_keeps_the_focus(desk: Desk, open_as: OpenAs) -> None:
    """The item's title takes the focus, so that a screen reader reads the next one."""
    put_many(desk.store, desk.texts, 4)
    page = open_as(desk)
    wait_for_text(page)
    for name in ("Allow", "Skip", "Block"):
        before = _title(page)
        page.get_by_role("button", name=name).click()
        expect(page.locator("#item-title")).not_to_have_text(before)
        expect(page.locator("#item-title")).to_be_focused()
    wait_until_taken(page)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#said")).to_contain_text("Taken back")
    assert len(_answers(desk)) == 2
