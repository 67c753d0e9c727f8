"""Appeals, an item by its address, and what was skipped."""

from playwright.sync_api import expect
from sqlalchemy import insert, select

from console.store.store import now_ms
from console.store.tables import answers, appeals, items
from tests.console.pages.review.conftest import Desk, OpenAs, wait_for_text, wait_until_taken
from tests.console.pages.review.rows import put, put_many, user


def test_an_appeal_stands_in_a_queue_of_its_own_with_what_was_decided(desk: Desk, open_as: OpenAs) -> None:
    """Who decided before is not asked again, and is not named to whoever decides now."""
    first = put(desk.store, desk.texts, 1, user("a story about a dragon"), category="D", state="done", n_answers=1)
    said = {"item_id": first, "reviewer": "ben", "decision_id": "1" * 32, "outcome": "block", "reason": "other"}
    with desk.store.writing() as connection:
        connection.execute(insert(answers).values(**said, at_ms=now_ms(), is_blind=False, is_final=False))
    decided = [{"name": "default", "version": "1", "decision": "block", "decided_by": "model"}]
    changes = {"kind": "appeal", "appealed_id": first, "category": "D", "policies": decided}
    second = put(desk.store, desk.texts, 1, user("a story about a dragon"), **changes)
    text = {"reason": "not_a_story", "note": "<b>please</b> look again", "caller": "shop"}
    with desk.store.writing() as connection:
        row = {"id": "a1", "item_id": second, "verdict_id": "verdict-1", "created_ms": now_ms()}
        connection.execute(insert(appeals).values(**row, **text))
    page = open_as(desk, "ada")
    wait_for_text(page)
    with page.expect_response("**/review/claim"):
        page.locator("#queue").select_option(label="Appeals")
    wait_for_text(page)
    expect(page.locator("#item-title")).to_have_text(f"Appeal {second} · Creative writing and role play")
    beside = page.get_by_role("region", name="Appeal")
    expect(beside).to_contain_text("<b>please</b> look again")
    expect(beside).to_contain_text("Decided before: block for other")
    expect(beside).not_to_contain_text("ben")
    # The policy was in no doubt: it blocked.
    expect(page.get_by_role("region", name="What was decided")).to_contain_text("The model was sure enough")
    page.keyboard.press("a")
    expect(page.locator("#item-title")).to_have_text("Nothing waits here")
    wait_until_taken(page)
    with desk.store.reading() as connection:
        assert connection.execute(select(items.c.state).where(items.c.id == second)).scalar_one() == "done"


def test_an_item_opens_by_its_address(desk: Desk, open_as: OpenAs) -> None:
    """`/review?item=3`; an item that somebody has is told, and the queue goes on."""
    put_many(desk.store, desk.texts, 4)
    page = open_as(desk, "ada", "/review?item=3")
    wait_for_text(page)
    expect(page.locator("#item-title")).to_contain_text("Review 3 ")
    other = open_as(desk, "ben", "/review?item=3")
    expect(other.locator("#told")).to_contain_text("ada has claimed it")
    wait_for_text(other)


def test_what_was_skipped_comes_back_last_and_says_so(desk: Desk, open_as: OpenAs) -> None:
    """Nothing drops out of the queue."""
    put_many(desk.store, desk.texts, 2)
    page = open_as(desk, "ada")
    wait_for_text(page)
    page.keyboard.press("s")
    expect(page.locator("#item-title")).to_contain_text("Review 2 ")
    page.keyboard.press("a")
    expect(page.locator("#item-title")).to_contain_text("Review 1 ")
    expect(page.locator("#details")).to_contain_text("You skipped this before")
