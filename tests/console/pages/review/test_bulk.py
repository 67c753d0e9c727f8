"""Many items at once: filter, sample, cap, reason, and the way back."""

from playwright.sync_api import expect
from sqlalchemy import func, select

from console.store.tables import access_log, answers, items, outbox
from tests.console.pages.review.conftest import Desk, OpenAs, StartDesk, wait_for_text
from tests.console.pages.review.rows import put, put_many, user


def _n_open(desk: Desk) -> int:
    with desk.store.reading() as connection:
        return int(connection.execute(select(func.count()).where(items.c.state == "open")).scalar_one())


def test_a_category_is_answered_up_to_the_cap_and_the_batch_is_taken_back(desk: Desk, open_as: OpenAs) -> None:
    """The sample shows its texts on request, behind the same veil; one answer an item, one undo for all."""
    put_many(desk.store, desk.texts, 30)
    page = open_as(desk)
    wait_for_text(page)
    page.get_by_role("tab", name="Bulk").click()
    page.get_by_label("Category").last.select_option(label="Other obscene or illegal")
    page.get_by_role("button", name="Find them").click()
    # One of the ten is held by whoever reads, or comes next.
    expect(page.locator("#bulk-count")).to_contain_text("items match")
    n_found = int(page.locator("#bulk-count").inner_text().split()[0])
    page.locator("#bulk-sample li").first.get_by_role("button", name="Text").click()
    text = page.locator("#bulk-sample .text").first
    assert "blur" in text.evaluate("(text) => getComputedStyle(text).filter")
    page.get_by_label("At most").fill("6")
    page.locator("#bulk-reason").select_option(label="Policy violation")
    before = _n_open(desk)
    page.get_by_role("button", name="Block 6 items").click()
    expect(page.locator("#bulk-done-what")).to_have_text("Blocked 6 items.")
    assert n_found >= 6
    assert _n_open(desk) == before - 6
    with desk.store.reading() as connection:
        found = connection.execute(select(answers.c.outcome, answers.c.reason, answers.c.batch)).all()
    assert {tuple(row)[:2] for row in found} == {("block", "policy_violation")}
    assert len({row.batch for row in found}) == 1
    page.get_by_role("button", name="Undo the batch").click()
    expect(page.locator("#bulk-done-what")).to_contain_text("Taken back: 6 items.")
    expect(page.locator("#bulk-done-what")).to_be_focused()
    assert _n_open(desk) == before
    with desk.store.reading() as connection:
        assert connection.execute(select(func.count()).where(outbox.c.cancelled_ms.is_(None))).scalar_one() == 0


def test_the_same_text_is_answered_wherever_it_waits(desk: Desk, open_as: OpenAs) -> None:
    """The item that is read is the pattern."""
    for n in range(5):
        put(desk.store, desk.texts, n, user("buy cheap pills now"), category="M", risk=0.9 - n / 100)
    put(desk.store, desk.texts, 9, user("something else"), category="M", risk=0.1)
    page = open_as(desk)
    wait_for_text(page)
    page.get_by_role("tab", name="Bulk").click()
    page.locator("#bulk-text").select_option("same")
    page.get_by_role("button", name="Find them").click()
    # The first is being read and the second comes next: both are held.
    expect(page.locator("#bulk-count")).to_contain_text("3 items match")
    page.get_by_role("button", name="Block 3 items").click()
    expect(page.locator("#bulk-done-what")).to_have_text("Blocked 3 items.")
    assert _n_open(desk) == 3


def test_a_filter_is_saved_and_there_the_next_time(desk: Desk, open_as: OpenAs) -> None:
    """On every machine of the person's, until it is removed."""
    put_many(desk.store, desk.texts, 12)
    page = open_as(desk)
    page.get_by_role("tab", name="Bulk").click()
    page.get_by_role("button", name="Save this filter").click()
    expect(page.locator("#told")).to_contain_text("Choose a category first")
    page.locator("#bulk-category").select_option(label="Creative writing and role play")
    page.locator("#bulk-policy").select_option(label="default")
    with page.expect_response("**/review/preferences"):
        page.get_by_role("button", name="Save this filter").click()
    again = open_as(desk)
    again.get_by_role("tab", name="Bulk").click()
    again.locator("#bulk-saved").select_option(label="Creative writing and role play · default")
    expect(again.locator("#bulk-count")).to_contain_text("match")
    with again.expect_response("**/review/preferences"):
        again.get_by_role("button", name="Remove it").click()
    expect(again.locator("#bulk-saved option")).to_have_count(1)


def test_near_identical_texts_are_answered_wherever_they_wait(desk: Desk, open_as: OpenAs) -> None:
    """Their texts are read to be compared, which is logged, and shown to nobody; what is gone is said."""
    for n in range(5):
        text = f"dear friend, i have found a pill that makes every exam easy, order it today, number {n}"
        put(desk.store, desk.texts, n, user(text), category="M", risk=0.9 - n / 100)
    put(desk.store, desk.texts, 8, user("what is the best way to clean a cast iron pan"), category="M", risk=0.1)
    gone = put(desk.store, desk.texts, 9, user("nobody can read this any more"), category="M", risk=0.1)
    del desk.texts.turns[9]
    page = open_as(desk)
    wait_for_text(page)
    page.get_by_role("tab", name="Bulk").click()
    page.locator("#bulk-text").select_option("near")
    page.get_by_role("button", name="Find them").click()
    expect(page.locator("#bulk-count")).to_contain_text("3 items match. 1 item could not be compared")
    expect(page.locator("#bulk-sample li").first).to_contain_text("% alike")
    page.locator("#bulk-reason").select_option(label="Policy violation")
    page.get_by_role("button", name="Block 3 items").click()
    expect(page.locator("#bulk-done-what")).to_have_text("Blocked 3 items.")
    assert _n_open(desk) == 4
    page.get_by_role("button", name="Undo the batch").click()
    expect(page.locator("#bulk-done-what")).to_contain_text("Taken back: 3 items.")
    with desk.store.reading() as connection:
        log = connection.execute(select(access_log.c.action, access_log.c.item_id, access_log.c.detail)).all()
    compared = [row for row in log if row.action == "compare"]
    assert [row.detail for row in compared] == [{"n": 5}]
    assert gone not in {row.item_id for row in log}


def test_what_changed_since_the_sample_is_told_and_nothing_is_answered(start_desk: StartDesk, open_as: OpenAs) -> None:
    """Nor is anything without the reason that the settings ask for."""
    desk = start_desk(reason_needed="block")
    put_many(desk.store, desk.texts, 12)
    page = open_as(desk)
    wait_for_text(page)
    page.get_by_role("tab", name="Bulk").click()
    page.get_by_label("Category").last.select_option(label="Creative writing and role play")
    page.get_by_role("button", name="Find them").click()
    expect(page.locator("#bulk-make")).to_be_visible()
    page.locator("#bulk-answer").click()
    expect(page.locator("#told")).to_contain_text("found no reason")
    page.locator("#bulk-reason").select_option(label="Other")
    put(desk.store, desk.texts, 90, user("one more"), category="D")
    page.locator("#bulk-answer").click()
    expect(page.locator("#told")).to_contain_text("look at the preview again")
    with desk.store.reading() as connection:
        assert connection.execute(select(func.count()).select_from(answers)).scalar_one() == 0
