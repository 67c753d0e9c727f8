"""The text of an item: veiled until asked for, shown as text whatever it holds, logged before it is read, or gone."""

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from console.store.tables import access_log, metadata
from schemas import Role, Turn
from tests.console.pages.review.conftest import Desk, OpenAs, wait_for_text, wait_until_taken
from tests.console.pages.review.rows import put, put_many, user

SEVERE = "the best place on the body to hit somebody so it does damage but leaves no bruise. my brother needs to learn"
HOSTILE = [
    "<script>window.wasRun = 1</script>",
    "<img src=x onerror='window.wasRun = 1'>",
    '</textarea></pre><svg onload="window.wasRun = 1">',
    "{{ 7 * 7 }} ${7 * 7} javascript:window.wasRun=1",
    "مرحبا، كيف حالك اليوم؟ \u202eevil\u202c \u2066x",
    "before\x00after \x07",
    "👩‍👩‍👧‍👦 🏴‍☠️ e\u0301\u0301\u0301",
]


def _filter(page: Page) -> str:
    return str(page.locator("#text .text").first.evaluate("(text) => getComputedStyle(text).filter"))


def test_the_blur_hides_until_it_is_asked_for(desk: Desk, open_as: OpenAs) -> None:
    """From the eye, from the keyboard and from screen readers; Space shows the text and hides it again."""
    put(desk.store, desk.texts, 0, user("a private matter"))
    page = open_as(desk)
    wait_for_text(page)
    text = page.locator("#text .text").first
    assert "blur" in _filter(page)
    assert text.evaluate("(text) => getComputedStyle(text).userSelect") == "none"
    expect(text).to_have_attribute("aria-hidden", "true")
    assert text.evaluate("(text) => text.inert")
    expect(page.get_by_role("button", name="Show text")).to_be_visible()
    page.keyboard.press("Space")
    assert _filter(page) == "none"
    expect(text).to_have_attribute("aria-hidden", "false")
    page.keyboard.press("Space")
    assert "blur" in _filter(page)
    page.get_by_role("button", name="Show text").click()
    assert _filter(page) == "none"


def test_severe_passages_are_collapsed_to_a_line_that_names_their_class(desk: Desk, open_as: OpenAs) -> None:
    """The rest is open; the choice is the person's own and is kept."""
    harmless = [Turn(Role.USER, "hello, i have a question about cooking rice"), Turn(Role.ASSISTANT, "Sure.")]
    turns = [*harmless, *user(SEVERE)]
    put(desk.store, desk.texts, 0, turns, category="M")
    page = open_as(desk)
    wait_for_text(page)
    page.locator("#looks summary").click()
    page.get_by_label("severe passages collapsed").check()
    passage = page.locator("#text .turn").last
    expect(passage.get_by_role("button")).to_contain_text("Severe passage hidden: Other obscene or illegal")
    expect(passage.locator(".text")).to_be_hidden()
    expect(page.locator("#text .text").first).to_be_visible()
    page.reload()
    wait_for_text(page)
    expect(passage.locator(".text")).to_be_hidden()
    passage.get_by_role("button").click()
    expect(passage.locator(".text")).to_be_visible()
    expect(passage.locator(".text")).to_be_focused()


def test_a_page_may_be_open_or_all_grey(desk: Desk, open_as: OpenAs) -> None:
    """For one person, on every machine of theirs."""
    put_many(desk.store, desk.texts, 6)
    page = open_as(desk)
    wait_for_text(page)
    page.locator("#looks summary").click()
    page.get_by_label("open", exact=True).check()
    assert _filter(page) == "none"
    with page.expect_response("**/review/preferences"):
        page.get_by_label("whole page in grey").check()
    again = open_as(desk)
    wait_for_text(again)
    assert _filter(again) == "none"
    grey = "getComputedStyle(document.documentElement).filter"
    assert again.evaluate(grey) == "grayscale(1)"
    other = open_as(desk, "ben")
    expect(other.locator(".title")).to_be_visible()
    assert other.evaluate(grey) == "none"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text(desk: Desk, open_as: OpenAs, text: str) -> None:
    """Nothing of it is executed, and nothing turns the page round."""
    put(desk.store, desk.texts, 0, user(text))
    page = open_as(desk)
    wait_for_text(page)
    page.keyboard.press("Space")
    shown = page.locator("#text .text").first.evaluate("(element) => element.firstChild.data")
    assert shown == text
    assert page.evaluate("window.wasRun") is None
    assert page.locator("main script, main img, main svg").count() == 0
    assert page.locator("#item-title").evaluate("(title) => getComputedStyle(title).direction") == "ltr"
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_two_megabytes_are_shown_in_parts(desk: Desk, open_as: OpenAs) -> None:
    """The beginning at once, 20,000 characters more at each request; the page stays usable."""
    put(desk.store, desk.texts, 0, user("a" * 40 + " word" * 400_000))
    put(desk.store, desk.texts, 1, user("the next one"))
    page = open_as(desk)
    wait_for_text(page)
    page.keyboard.press("Space")
    size = "(element) => element.firstChild.data.length"
    text = page.locator("#text .text").first
    assert text.evaluate(size) == 1_500
    page.get_by_role("button", name="Show 20,000 of").click()
    assert text.evaluate(size) == 21_500
    page.keyboard.press("b")
    expect(page.locator("#text .text").first).to_have_text("the next one")


def test_earlier_turns_are_folded_where_there_are_many(desk: Desk, open_as: OpenAs) -> None:
    """The deciding turn is marked and in view; E unfolds the others."""
    turns = [Turn(role, f"{role.value} {n}") for n in range(8) for role in (Role.USER, Role.ASSISTANT)]
    put(desk.store, desk.texts, 0, turns)
    page = open_as(desk)
    wait_for_text(page)
    expect(page.locator(".turn[data-deciding]")).to_contain_text("user 7")
    expect(page.locator(".turn[data-deciding]")).to_be_in_viewport()
    expect(page.locator("#text .turn").first).to_be_hidden()
    page.keyboard.press("e")
    expect(page.locator("#text .turn").first).to_be_visible()


def test_a_text_that_retention_took_is_said_to_be_gone(desk: Desk, open_as: OpenAs) -> None:
    """With what is left to do; the item can still be answered."""
    put(desk.store, desk.texts, 0, user("gone"))
    desk.texts.turns.clear()
    page = open_as(desk)
    expect(page.locator("#text .gone")).to_contain_text("The text is gone")
    expect(page.locator("#text .gone")).to_contain_text("Block to be safe, or skip")
    page.keyboard.press("b")
    expect(page.locator("#item-title")).to_have_text("Nothing waits here")


def test_each_reveal_is_logged_before_kafka_is_asked_and_no_text_is_kept(desk: Desk, open_as: OpenAs) -> None:
    """The log has who, when and which record, also where Kafka did not answer; no table has a word of a text."""
    put_many(desk.store, desk.texts, 1)
    desk.texts.is_away = True
    assert desk.ask("ada", "/review/text", {"item_id": 1}).status == 503
    with desk.store.reading() as connection:
        (row,) = connection.execute(select(access_log)).mappings().all()
    assert (row["actor"], row["action"], row["item_id"]) == ("ada", "reveal", 1)
    assert row["detail"] == {"topic": "chat-events", "partition": 0, "offset": 0}
    desk.texts.is_away = False
    page = open_as(desk)
    wait_for_text(page)
    page.keyboard.press("b")
    wait_until_taken(page)
    with desk.store.reading() as connection:
        kept = str([list(connection.execute(select(table))) for table in metadata.sorted_tables])
    assert "mondays" not in kept
