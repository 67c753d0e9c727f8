"""The page Chat in a real browser: verdicts and why, the text on request, a reviewer's word."""

import re
import threading
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import insert, select

from console.pipeline.text import ChatText
from console.store import outbox_rows
from console.store.store import now_ms
from console.store.tables import access_log, items, outbox
from model import Bundle
from schemas import Role, Turn, Verdict, encode_verdict
from tests.console.pages.conftest import OpenPage
from tests.console.pages.following import KEYS, Follow, Followed
from tests.console.pages.review.rows import item
from tests.worker.explain.records import judged, letter_record, record, source

CHAT = "<img src=x onerror='window.wasRun = 1'> \u202egnp.exe مرحبا /../%00?&#+"
FINGERPRINT = "1e" * 16
OTHER_FINGERPRINT = "2e" * 16
SCRIPT = "<script>window.wasRun = 1</script><img src=x onerror='window.wasRun = 1'>"
TEXT = [
    Turn(Role.SYSTEM, "be kind"),
    Turn(Role.USER, SCRIPT),
    Turn(Role.ASSISTANT, "مرحبا، كيف حالك \u202eevil"),
    Turn(Role.USER, "word " * 400_000),
]


def verdict(bundle: Bundle, offset: int, code: str, evidence: float, fingerprint: str = FINGERPRINT) -> Verdict:
    """Return a verdict as the shipped bundle takes it."""
    found = judged(bundle, {code: evidence}, chat_id=CHAT, source=source(offset), verdict_id=f"{offset:032x}")
    return found.model_copy(update={"content_fingerprint": fingerprint})


def put(followed: Followed, *verdicts: Verdict) -> None:
    """Put verdicts on the topic."""
    followed.histories.records += [
        record("verdicts", 0, one.source.offset, CHAT.encode(), encode_verdict(one), timestamp_ms=1_800_000_000_000 + i)
        for i, one in enumerate(verdicts)
    ]


@pytest.fixture
def followed(follow: Follow, shipped: Bundle) -> Followed:
    """Return a console with three verdicts of a chat, and the text of the newest."""
    return with_chat(follow(), shipped)


def with_chat(found: Followed, bundle: Bundle) -> Followed:
    """Put three verdicts of a chat, and the text of the newest, before a console."""
    put(
        found,
        verdict(bundle, 0, "H", 0.9),
        verdict(bundle, 1, "J", 0.5, OTHER_FINGERPRINT),
        verdict(bundle, 2, "J", 0.99, OTHER_FINGERPRINT),
    )
    found.texts.by_place["chat-events", 0, 2] = ChatText(TEXT, 3, "event-1", OTHER_FINGERPRINT)
    return found


def open_chat(open_page: OpenPage, followed: Followed, **looks: Any) -> Page:
    """Open the page of the chat."""
    page = open_page(f"{followed.url}/chat?id={quote(CHAT, safe='')}", **looks)
    expect(outcomes(page)).to_have_count(3)
    return page


def outcomes(page: Page) -> Locator:
    """Return what became of the chat, the newest first."""
    return page.locator(".outcome")


def sent(followed: Followed) -> list[str]:
    """Let the outbox send all that is due, as its thread would; return the kinds."""
    with followed.operations.store.writing() as connection:
        found = outbox_rows.due(connection, now_ms() + 60_000, 10)
        for row in found:
            outbox_rows.sent(connection, row.id, now_ms())
    return [row.kind.value for row in found]


def test_every_verdict_says_what_changed_and_why(open_page: OpenPage, followed: Followed) -> None:
    """The newest first, with the policy's borders and what would have changed it."""
    page = open_chat(open_page, followed)
    newest, middle, first = (outcomes(page).nth(i) for i in range(3))
    expect(newest.get_by_role("heading", level=3)).to_have_text(re.compile(r"^block J "))
    expect(newest).to_contain_text("in force")
    changed = newest.get_by_role("list", name="What changed since the verdict before it")
    expect(changed).to_contain_text("decision review → block")
    expect(changed).to_contain_text("banned probability 0.500 → 0.990")
    expect(changed).not_to_contain_text("the text is another one")
    expect(newest).to_contain_text("Policy default 2 allows up to 0.346 and blocks from 0.730")
    other_ways = newest.get_by_role("list", name="What would have changed the decision")
    expect(other_ways).to_contain_text("It would be review at a banned probability of 0.729532 in place of 0.990.")
    expect(middle).to_contain_text("the text is another one")
    expect(middle).to_contain_text("category H → J")
    expect(first).to_contain_text("The first verdict that was found.")
    newest.get_by_text("Evidence, policies and ids").click()
    expect(newest.get_by_role("meter", name="Evidence of J")).to_be_visible()
    expect(newest).to_contain_text("chat-events[0]@2")
    assert page.evaluate("window.wasRun") is None
    assert page.locator("main img").count() == 0


def test_a_chat_is_found_by_the_form_whatever_its_id(open_page: OpenPage, followed: Followed) -> None:
    """And the address names it, for a colleague."""
    page = open_page(f"{followed.url}/chat")
    expect(page.get_by_label("Chat id")).to_be_focused()
    page.get_by_label("Chat id").fill(CHAT)
    page.keyboard.press("Enter")
    expect(outcomes(page)).to_have_count(3)
    assert followed.histories.asked == [(CHAT, 20.0)]
    page.reload()
    expect(outcomes(page)).to_have_count(3)
    expect(page.get_by_label("Chat id")).to_have_value(CHAT)
    page.get_by_label("Chat id").fill("nobody")
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text("The topics hold nothing of this chat")
    page.go_back()
    expect(outcomes(page)).to_have_count(3)


def test_a_search_that_was_stopped_says_so_and_can_go_on(open_page: OpenPage, followed: Followed) -> None:
    """What was found by then is shown."""
    followed.histories.more = {"complete": False, "took_s": 20.1, "looked_back_to": "2026-11-30T12:00:00.000+00:00"}
    page = open_chat(open_page, followed)
    expect(page.locator("#said")).to_contain_text("Stopped after 20.1 s: read back to")
    expect(page.locator("#said")).to_contain_text("Found so far is shown.")
    followed.histories.more = {}
    page.get_by_role("button", name="Read for longer").click()
    expect(page.locator("#said")).to_contain_text("all that the topics keep")
    expect(page.get_by_role("button", name="Read for longer")).to_be_hidden()
    assert [within for _, within in followed.histories.asked] == [20.0, 90.0]


def test_it_says_that_it_reads_and_that_kafka_is_away(open_page: OpenPage, followed: Followed) -> None:
    """A topic takes its time; where nobody answers there is a cause."""
    followed.histories.waiting = threading.Event()
    page = open_page(f"{followed.url}/chat?id=chat-1")
    expect(page.locator("#said")).to_have_text("Reading the topics, for 20 seconds at most…")
    followed.histories.is_away = True
    followed.histories.waiting.set()
    expect(page.locator("#said")).to_contain_text("Kafka cannot be read: no broker answers")
    followed.away["kafka"] = "no broker answers"
    followed.look()
    expect(page.locator("#states")).to_contain_text("No chat can be read until it is back.")


def test_a_dead_letter_has_its_reason(open_page: OpenPage, followed: Followed) -> None:
    """And a tombstone says that the chat was to be forgotten."""
    followed.histories.records = [letter_record(5), letter_record(6, is_tombstone=True)]
    page = open_page(f"{followed.url}/chat?id=chat-1")
    expect(outcomes(page)).to_have_count(2)
    expect(outcomes(page).nth(0)).to_contain_text("The chat was to be forgotten")
    expect(outcomes(page).nth(1)).to_contain_text("Schema error messages: a string; expected a list")
    expect(page.get_by_role("button", name="Read the text")).to_have_count(0)


def test_the_text_is_logged_blurred_and_shown_as_text(open_page: OpenPage, followed: Followed) -> None:
    """With the deciding turn marked; two megabytes begin with what fits, and come in parts."""
    page = open_chat(open_page, followed)
    newest = outcomes(page).first
    assert reveals(followed) == 0
    newest.get_by_role("button", name="Read the text").click()
    clear = newest.get_by_role("button", name="Show clearly")
    expect(clear).to_be_focused()
    assert reveals(followed) == 1
    said = newest.locator(".said")
    assert said.first.evaluate("(one) => getComputedStyle(one).filter") != "none"
    expect(newest.locator(".blurred")).to_have_attribute("inert", "")
    page.keyboard.press("Enter")
    assert said.first.evaluate("(one) => getComputedStyle(one).filter") == "none"
    expect(said.nth(1)).to_have_text(SCRIPT)
    direction = "(one) => getComputedStyle(one).direction"
    assert said.nth(2).evaluate(direction) == "rtl"
    assert newest.get_by_role("heading", level=3).evaluate(direction) == "ltr"
    expect(newest.locator("[aria-current]")).to_contain_text("the event was sent for this turn")
    expect(newest.locator("[aria-current]")).to_contain_text("word word")
    assert said.nth(3).evaluate("(one) => one.textContent.length") == 2_000
    newest.get_by_role("button", name="Show more (2,000 of 2,000,000 characters shown)").click()
    assert said.nth(3).evaluate("(one) => one.textContent.length") == 22_000
    newest.get_by_role("button", name="Blur").click()
    assert said.first.evaluate("(one) => getComputedStyle(one).filter") != "none"
    assert page.evaluate("window.wasRun") is None
    assert page.locator("main img, main script").count() == 0
    assert reveals(followed) == 1


def reveals(followed: Followed) -> int:
    """Return how many looks at a text were logged."""
    with followed.operations.store.reading() as connection:
        return len(connection.execute(select(access_log)).all())


def test_many_turns_come_in_parts(open_page: OpenPage, followed: Followed) -> None:
    """The deciding turn and those before it first."""
    turns = [Turn(Role.USER, f"turn {i}") for i in range(250)]
    followed.texts.by_place["chat-events", 0, 2] = ChatText(turns, 249, "event-1", OTHER_FINGERPRINT)
    page = open_chat(open_page, followed)
    page.get_by_role("button", name="Read the text").first.click()
    expect(page.locator(".turn")).to_have_count(20)
    page.get_by_role("button", name="Show 230 earlier turns").click()
    expect(page.locator(".turn")).to_have_count(120)
    expect(page.locator(".turn").last).to_contain_text("turn 249")


def test_a_text_that_is_gone_is_said_to_be(open_page: OpenPage, followed: Followed) -> None:
    """Retention took it; of another record under the same place, that it is another."""
    page = open_chat(open_page, followed)
    outcomes(page).nth(1).get_by_role("button", name="Read the text").click()
    expect(outcomes(page).nth(1)).to_contain_text("The text is gone: retention took its record")
    followed.texts.by_place["chat-events", 0, 0] = ChatText(TEXT[:1], None, None, OTHER_FINGERPRINT)
    outcomes(page).nth(2).get_by_role("button", name="Read the text").click()
    expect(outcomes(page).nth(2)).to_contain_text("The record says something else than what was judged")


def test_a_reviewer_decides_otherwise(open_page: OpenPage, followed: Followed, shipped: Bundle) -> None:
    """It goes through the outbox; once it is on its topic the chat is read again."""
    page = open_chat(open_page, followed)
    newest = outcomes(page).first
    newest.get_by_text("Decide otherwise").click()
    form = newest.locator("form").first
    expect(form.get_by_role("combobox", name="Decision")).to_have_value("allow")
    form.get_by_role("combobox", name="Reason").select_option("false_positive")
    form.get_by_role("button", name="Decide").click()
    expect(form.get_by_role("status")).to_contain_text("Taken down. It goes out in")
    assert sent(followed) == ["override_set"]
    put(followed, verdict(shipped, 3, "H", 0.9, OTHER_FINGERPRINT))
    expect(outcomes(page)).to_have_count(4, timeout=60_000)
    with followed.operations.store.reading() as connection:
        (row,) = connection.execute(select(outbox)).mappings()
    assert b'"decision":"allow"' in row["body"]
    assert b'"expires_in_s":86400' in row["body"]


def test_a_word_is_taken_back_before_it_goes_out(open_page: OpenPage, followed: Followed) -> None:
    """No dialog asks first."""
    page = open_chat(open_page, followed)
    newest = outcomes(page).first
    newest.get_by_text("Report as wrong").click()
    form = newest.locator("form").nth(1)
    form.get_by_role("combobox", name="Right category").select_option("H")
    form.get_by_label("Note").fill("a poem")
    form.get_by_role("button", name="Report").click()
    form.get_by_role("button", name="Undo").click()
    expect(form.get_by_role("status")).to_have_text("Undone: nothing was sent.")
    assert sent(followed) == []


def test_what_stands_is_shown_and_taken_back(open_page: OpenPage, followed: Followed) -> None:
    """With who decided and until when."""
    standing = {
        "decision": "block",
        "policy": "*",
        "scope": "chat",
        "actor": "ann",
        "reason": "policy_violation",
        "decided_at": "2026-11-30T12:00:00Z",
        "expires_at": None,
    }
    followed.histories.more = {"overrides": [standing]}
    page = open_chat(open_page, followed)
    section = page.get_by_role("region", name="What people decided, and stands")
    expect(section).to_contain_text("block for every policy, whatever the chat says, by ann (Policy violation)")
    section.get_by_role("button", name="Take back").click()
    expect(section.get_by_role("status")).to_contain_text("Taken down.")
    assert sent(followed) == ["override_clear"]


def test_a_refusal_is_said_at_the_form(open_page: OpenPage, followed: Followed) -> None:
    """Nothing was said that could be right."""
    page = open_chat(open_page, followed)
    outcomes(page).first.get_by_text("Report as wrong").click()
    outcomes(page).first.get_by_role("button", name="Report").click()
    expect(outcomes(page).first.locator(".told")).to_contain_text("expected what would be right")


def test_what_waits_for_a_person_is_one_click_away(open_page: OpenPage, followed: Followed) -> None:
    """Open reviews of this chat; no blind item, which nobody may find by what the model said."""
    rows = [
        item(1, chat_id=CHAT),
        item(2, chat_id=CHAT, kind="sample"),
        item(3, chat_id=CHAT, state="done"),
        item(4, chat_id="another"),
    ]
    with followed.operations.store.writing() as connection:
        for row in rows:
            connection.execute(insert(items).values(row))
    page = open_chat(open_page, followed)
    expect(page.locator("#waiting")).to_contain_text("Waits for a person: review 1 (default, since")
    assert [one.get_attribute("href") for one in page.locator("#waiting a").all()] == ["/review?item=1"]


def test_a_viewer_sees_no_form_and_no_text(open_page: OpenPage, follow: Follow, shipped: Bundle) -> None:
    """Verdicts, and why; nothing to press."""
    locked = with_chat(follow(with_keys=True), shipped)
    locked.histories.more = {"overrides": [], "overrides_unknown": None}
    page = open_page(f"{locked.url}/chat?id={quote(CHAT, safe='')}")
    page.get_by_label("API key").fill(KEYS["viewer"])
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/live"))
    page.goto(f"{locked.url}/chat?id={quote(CHAT, safe='')}")
    expect(outcomes(page)).to_have_count(3)
    expect(outcomes(page).first).to_contain_text("It would be review")
    for name in ("Read the text", "Decide", "Report", "Take back"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    expect(page.get_by_text("Decide otherwise")).to_have_count(0)


def test_it_is_used_by_keyboard_alone(open_page: OpenPage, followed: Followed) -> None:
    """From the field to a clear text."""
    page = open_page(f"{followed.url}/chat")
    page.keyboard.type("x")
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(CHAT)
    page.keyboard.press("Enter")
    expect(outcomes(page)).to_have_count(3)
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Read the text":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Show clearly")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Blur")).to_be_focused()
    expect(page.locator(".said").first).to_have_text("be kind")


@pytest.mark.parametrize("width", [320, 390])
def test_it_fits_a_phone(open_page: OpenPage, followed: Followed, width: int) -> None:
    """With the text, the forms and the ids open, in the dark."""
    turns = [Turn(Role.USER, "x" * 5_000)]
    followed.texts.by_place["chat-events", 0, 2] = ChatText(turns, 0, "event-1", OTHER_FINGERPRINT)
    page = open_chat(open_page, followed, viewport={"width": width, "height": 800}, color_scheme="dark")
    newest = outcomes(page).first
    newest.get_by_role("button", name="Read the text").click()
    expect(page.locator(".turn")).to_have_count(1)
    for name in ("Evidence, policies and ids", "Decide otherwise", "Report as wrong"):
        newest.get_by_text(name).click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", ground)[:3])) < 150


def test_every_control_has_a_name(open_page: OpenPage, followed: Followed) -> None:
    """What a screen reader says of it."""
    page = open_chat(open_page, followed)
    newest = outcomes(page).first
    newest.get_by_role("button", name="Read the text").click()
    for name in ("Evidence, policies and ids", "Decide otherwise", "Report as wrong"):
        newest.get_by_text(name).click()
    nameless = re.compile(r'^- (button|combobox|textbox|searchbox|checkbox|link|meter|img|region)(?! ")')
    tree = [line.strip() for line in page.locator("body").aria_snapshot().splitlines()]
    assert [line for line in tree if nameless.match(line)] == []
