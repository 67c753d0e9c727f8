"""Who may open the page, and how it looks on a phone, in the dark, and with many items."""

import sys
import time

import pytest
from playwright.sync_api import Route, expect
from sqlalchemy import insert

from console.store.store import now_ms
from console.store.tables import access_log, answers, items
from tests.console.pages.review.conftest import Desk, OpenAs, wait_for_text
from tests.console.pages.review.rows import item, put, put_many, user

N_MANY = 100_000
POSTS = ("claim", "renew", "release", "text", "answer", "undo", "preferences", "bulk/preview", "bulk", "bulk/undo")
GETS = ("start", "queue", "recent", "figures", "waiting?chat_id=x", "export")


def test_a_viewer_gets_a_page_that_says_which_role_is_needed(desk: Desk, open_as: OpenAs) -> None:
    """403, in words; none of its routes answers them either, and the header does not offer it."""
    page = open_as(desk, "eve")
    expect(page.get_by_role("heading", name="Not for your role")).to_be_visible()
    expect(page.locator("main")).to_contain_text(
        "You are eve, with the role viewer. This page needs the role reviewer."
    )
    expect(page.locator("nav")).not_to_contain_text("Review")
    assert desk.ask("eve", "/review").status == 403
    assert {desk.ask("eve", f"/review/{path}").status for path in GETS} == {403}
    assert {desk.ask("eve", f"/review/{path}", {}).status for path in POSTS} == {403}
    assert desk.console.ask("GET", "/review/start").status == 401


@pytest.mark.parametrize("person", ["ada", "ada.min"])
def test_reviewers_and_admins_open_it(desk: Desk, open_as: OpenAs, person: str) -> None:
    """An empty queue says so, and fills by itself."""
    page = open_as(desk, person)
    expect(page.locator("#item-title")).to_have_text("Nothing waits here")
    put_many(desk.store, desk.texts, 1)
    wait_for_text(page)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("claim", {"item_id": "1"}),
        ("claim", {"order": "newest"}),
        ("answer", {"item_id": 1, "token": "x", "decision_id": "0" * 32, "outcome": "allow"}),
        ("answer", {"item_id": 1, "token": "0" * 32, "decision_id": "0" * 32, "outcome": "maybe"}),
        ("bulk", {"filter": {}, "outcome": "skip", "cap": 0, "expected_count": 1, "batch": "0" * 32}),
        ("preferences", {"text": "loud"}),
        ("undo", {"answer_id": 1, "surprise": "<b>"}),
        ("bulk/preview", {"filter": {}}),
    ],
)
def test_what_the_page_would_never_send_is_refused_in_words(desk: Desk, path: str, body: object) -> None:
    """400, with the field at fault, and nothing of what was sent."""
    answer = desk.ask("ada", f"/review/{path}", body)
    assert answer.status == 400
    assert "expected" in answer.error["message"] or "name at least one" in answer.error["message"]
    assert "surprise" not in str(answer.error)
    assert "loud" not in str(answer.error)


def test_it_does_not_speak_of_thresholds_where_the_category_alone_asks(desk: Desk, open_as: OpenAs) -> None:
    """A category that the policy never blocks by itself goes to a person however sure the model is."""
    put(desk.store, desk.texts, 2, user("hi"), category="M", risk=0.999)
    page = open_as(desk, path="/login")

    def answer(route: Route) -> None:
        start = route.fetch()
        document = start.json()
        document["policies"][0] |= {"version": "1", "should": ["M"]}
        route.fulfill(response=start, json=document)

    page.route("**/review/start", answer)
    page.goto(f"{desk.console.url}/review")
    expect(page.locator("#details")).to_contain_text("The policy never blocks for this category alone")
    expect(page.locator("#details")).not_to_contain_text("two thresholds")
    expect(page.locator("#details")).to_contain_text("Your answer counts for default.")


def test_starred_queues_come_first_in_the_list(desk: Desk, open_as: OpenAs) -> None:
    """For one person, on every machine of theirs; a second click takes the star away."""
    put(desk.store, desk.texts, 0, user("one"), queue="brand-17")
    page = open_as(desk)
    wait_for_text(page)
    expect(page.locator("#star")).to_be_hidden()
    page.locator("#queue").select_option(label="brand-17")
    with page.expect_response("**/review/preferences"):
        page.get_by_role("button", name="Star this queue").click()
    again = open_as(desk)
    expect(again.locator("#queue optgroup[label=Starred] option")).to_have_text(["brand-17"])
    expect(again.locator("#queue optgroup[label=Policies] option")).to_have_text(["default"])
    again.locator("#queue").select_option(label="brand-17")
    expect(again.locator("#star")).to_have_attribute("aria-pressed", "true")
    with again.expect_response("**/review/preferences"):
        again.get_by_role("button", name="Star this queue").click()
    expect(again.locator("#queue optgroup[label=Starred]")).to_have_count(0)


def test_every_policy_that_asks_is_said_in_words(desk: Desk, open_as: OpenAs) -> None:
    """The answer counts for each; one that is out of use by now is named as that."""
    asking = [
        {"name": name, "version": "1", "decision": "review", "decided_by": "model"} for name in ("default", "ads")
    ]
    gone = [{"name": "gone", "version": "7", "decision": "review", "decided_by": "model"}]
    put(desk.store, desk.texts, 0, user("hi"), policies=[*asking, *gone])
    page = open_as(desk, path="/login")

    def answer(route: Route) -> None:
        start = route.fetch()
        document = start.json()
        other = {"name": "ads", "version": "3", "banned": ["D", "J"], "should": [], "note": "Asked for by a shop."}
        document["policies"].append(other)
        route.fulfill(response=start, json=document)

    page.route("**/review/start", answer)
    page.goto(f"{desk.console.url}/review")
    expect(page.locator("#details section[aria-label^='Policy default']")).to_be_visible()
    expect(page.locator("#details section[aria-label='Policy ads 3']")).to_contain_text("Asked for by a shop.Banned: 2")
    expect(page.locator("#details section[aria-label='Policy gone 7']")).to_contain_text("taken out of use")


def test_the_wait_that_19_of_20_items_do_not_exceed_stands_beside_the_oldest(desk: Desk, open_as: OpenAs) -> None:
    """One that waits for days hides nothing of how the others stand."""
    put(desk.store, desk.texts, 99, user("old"), arrived_ms=now_ms() - 3 * 86_400_000)
    for n in range(40):
        put(desk.store, desk.texts, n, user("new"), arrived_ms=now_ms() - 600_000)
    page = open_as(desk)
    expect(page.locator("#now")).to_contain_text("3 days")
    expect(page.locator("#now div", has_text="p95 wait").locator("dd")).to_have_text("10 min")


def test_it_works_on_a_phone(desk: Desk, open_as: OpenAs) -> None:
    """390 pixels: no sideways scrolling, and the answers are at the thumb."""
    put_many(desk.store, desk.texts, 4)
    page = open_as(desk, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    wait_for_text(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for name in ("Allow", "Block", "Skip", "Undo"):
        expect(page.get_by_role("button", name=name)).to_be_in_viewport()
    page.get_by_role("button", name="Show text").tap()
    expect(page.locator("#text .text").first).to_have_attribute("aria-hidden", "false")
    page.get_by_role("button", name="Block").tap()
    expect(page.locator("#item-title")).to_contain_text("Review 2")
    for name in ("Bulk", "Mine", "Figures"):
        page.get_by_role("tab", name=name).tap()
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_it_is_dark_where_the_system_is(desk: Desk, open_as: OpenAs) -> None:
    """Ground and panels follow."""
    put_many(desk.store, desk.texts, 1)
    page = open_as(desk, color_scheme="dark")
    wait_for_text(page)
    ground = page.evaluate("getComputedStyle(document.querySelector('.deck')).backgroundColor")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 18, 24)"
    assert ground != "rgb(255, 255, 255)"


def test_earlier_answers_of_the_chat_and_of_the_text_stand_beside_the_item(desk: Desk, open_as: OpenAs) -> None:
    """With who said what, and why."""
    one = put(desk.store, desk.texts, 1, user("old"), chat_id="chat-7", state="done", n_answers=1)
    two = put(desk.store, desk.texts, 2, user("a poem"), chat_id="chat-8", state="done", n_answers=1)
    put(desk.store, desk.texts, 3, user("a poem"), chat_id="chat-7")
    with desk.store.writing() as connection:
        for item_id, outcome, note in ((one, "allow", "<i>a note</i>"), (two, "block", None)):
            row = {"item_id": item_id, "reviewer": "ben", "decision_id": f"{item_id:032x}", "outcome": outcome}
            rest = {"note": note, "at_ms": now_ms(), "is_blind": False, "is_final": False}
            connection.execute(insert(answers).values(**row, **rest))
    page = open_as(desk)
    wait_for_text(page)
    beside = page.get_by_role("region", name="Earlier")
    expect(beside).to_contain_text("The same chat")
    expect(beside).to_contain_text("allowed by ben")
    expect(beside).to_contain_text("<i>a note</i>")
    expect(beside).to_contain_text("The same text in other chats")
    expect(beside).to_contain_text("blocked by ben")


def test_a_pause_is_suggested_after_an_hour_without_one(desk: Desk, open_as: OpenAs) -> None:
    """Gently: it stands above the item, and can be put off."""
    put_many(desk.store, desk.texts, 2)
    now = now_ms()
    with desk.store.writing() as connection:
        for minutes in range(0, 70, 5):
            row = {"actor": "ada", "action": "reveal", "item_id": 1, "detail": {}, "at_ms": now - minutes * 60_000}
            connection.execute(insert(access_log).values(row))
    page = open_as(desk)
    wait_for_text(page)
    expect(page.locator("#pause")).to_contain_text("You have been reading for 1.1 h.")
    expect(page.locator("#now")).to_contain_text("Seen15 · 15 severe")
    page.get_by_role("button", name="Later").click()
    expect(page.locator("#pause")).to_be_hidden()


def test_a_hundred_thousand_items_wait(desk: Desk, open_as: OpenAs, capsys: pytest.CaptureFixture[str]) -> None:
    """The page is usable at once; the time is printed, not asserted."""
    with desk.store.writing() as connection:
        for start in range(0, N_MANY, 1_000):
            rows = [item(n, user(str(n)), risk=(n % 997) / 1_000) for n in range(start, start + 1_000)]
            connection.execute(insert(items), rows)
    desk.texts.turns = {n: user(f"text {n}") for n in range(N_MANY)}
    started = time.perf_counter()
    page = open_as(desk)
    wait_for_text(page)
    took_s = time.perf_counter() - started
    usable_ms = page.evaluate("performance.getEntriesByName('review-usable')[0].startTime")
    expect(page.locator("#now")).to_contain_text("Waiting100,000")
    before = page.locator("#item-title").inner_text()
    started = time.perf_counter()
    page.keyboard.press("b")
    expect(page.locator("#item-title")).not_to_have_text(before)
    next_s = time.perf_counter() - started
    said = (
        f"{N_MANY:,} items: usable {usable_ms:.0f} ms after the request, the text there after {took_s:.2f} s, "
        f"the next item {next_s * 1_000:.0f} ms after the key"
    )
    with capsys.disabled():
        sys.stdout.write(f"\n{said}\n")
