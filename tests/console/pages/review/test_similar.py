"""Similar chats beside the item, once its text was read."""

from playwright.sync_api import expect

from tests.console.pages.review.conftest import Desk, OpenAs, wait_for_text, wait_until_taken
from tests.console.pages.review.rows import put, user

SPAM = "dear friend, i have found a pill that makes every exam easy, order it today at my shop, number {}"


def test_a_decided_chat_that_is_near_stands_beside_the_next_one(desk: Desk, open_as: OpenAs) -> None:
    """With what was decided, by whom, and how near it is; the text of neither is in the database."""
    first = put(desk.store, desk.texts, 0, user(SPAM.format(1)), risk=0.9)
    page = open_as(desk)
    wait_for_text(page)
    expect(page.locator("#similar")).to_contain_text("No chat like this one was decided before.")
    page.keyboard.press("b")
    wait_until_taken(page)
    put(desk.store, desk.texts, 1, user(SPAM.format(2)), risk=0.8)
    wait_for_text(page)
    row = page.locator("#similar li")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("Near-identical, ")
    expect(row).to_contain_text(f"blocked by ada · item {first} · default")


def test_beside_a_blind_item_nothing_similar_stands(desk: Desk) -> None:
    """By no route."""
    first = put(desk.store, desk.texts, 0, user(SPAM.format(1)))
    token = desk.ask("ben", "/review/claim", {"item_id": first}).json["claim"]["token"]
    assert desk.ask("ben", "/review/text", {"item_id": first}).json["similar"] == []
    wish = {"item_id": first, "token": token, "decision_id": "c" * 32, "outcome": "block"}
    assert desk.ask("ben", "/review/answer", wish).status == 200
    blind = put(desk.store, desk.texts, 1, user(SPAM.format(2)), kind="sample", stratum="s", inclusion=0.5)
    assert desk.ask("ada", "/review/text", {"item_id": blind}).json["similar"] is None
