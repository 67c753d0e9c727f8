"""The page Live in a real browser: rows as they come, a table that stands still, figures, banners."""

import re
from itertools import cycle
from pathlib import Path
from typing import Any

import orjson
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from console.pipeline.live.board import Wanted
from console.service import Service
from console.store.store import now_ms
from schemas import DecidedBy, Decision, PolicyDecision
from tests.console.pages.conftest import OpenPage
from tests.console.pages.following import KEYS, Follow, Followed
from tests.worker.explain.records import letter_record, verdict_record
from worker.kafka.topic_scan import ScannedRecord

_ALL = Wanted()
HOSTILE = "<img src=x onerror='window.wasRun = 1'> \u202egnp.exe مرحبا /../%00?&#"


def came(offset: int, **fields: Any) -> ScannedRecord:
    """Return a verdict that was published now."""
    found = verdict_record(offset, **{"chat_id": f"chat-{offset}", **fields})
    found.timestamp_ms = now_ms()
    return found


def rejected(offset: int, key: str) -> ScannedRecord:
    """Return a dead letter that was published now."""
    found = letter_record(offset, key=key.encode())
    found.timestamp_ms = now_ms()
    return found


@pytest.fixture
def followed(follow: Follow) -> Followed:
    """Return a console that has read three verdicts."""
    found = follow()
    found.live.board.caught_up()
    found.live._reads_back = False
    policies = {
        "default": PolicyDecision(version="1", decision=Decision.ALLOW, decided_by=DecidedBy.MODEL),
        "toys": PolicyDecision(version="3", decision=Decision.BLOCK, decided_by=DecidedBy.ADVERTISER),
    }
    verdicts = [came(0), came(1, decision=Decision.REVIEW, language="de"), came(2, decisions=policies)]
    found.take(verdicts, now_ms())
    return found


def rows(page: Page) -> Locator:
    """Return the rows that stand in the page."""
    return page.locator("#rows tr")


def box(page: Page, name: str) -> Locator:
    """Return a filter."""
    return page.get_by_role("combobox", name=name, exact=True)


def test_verdicts_come_by_themselves_and_lead_to_their_chats(open_page: OpenPage, followed: Followed) -> None:
    """The newest first."""
    page = open_page(f"{followed.url}/live")
    expect(rows(page)).to_have_count(3)
    expect(rows(page).first).to_contain_text("chat-2")
    followed.take([came(3, decision=Decision.BLOCK, cache_hit=True)], now_ms())
    expect(rows(page)).to_have_count(4)
    expect(rows(page).first).to_contain_text("block")
    expect(rows(page).first).to_contain_text("cached")
    page.get_by_role("link", name="chat-3").click()
    expect(page).to_have_url(f"{followed.url}/chat?id=chat-3")


def test_filters_ask_for_what_was_before_too(open_page: OpenPage, followed: Followed) -> None:
    """Policies, categories and languages are offered as they are seen."""
    page = open_page(f"{followed.url}/live")
    expect(rows(page)).to_have_count(3)
    box(page, "Decision").select_option("review")
    expect(rows(page)).to_have_count(1)
    expect(rows(page).first).to_contain_text("chat-1")
    box(page, "Decision").select_option("")
    box(page, "Policy").select_option("toys")
    expect(rows(page)).to_have_count(1)
    expect(rows(page).first).to_contain_text("Advertiser")
    box(page, "Policy").select_option("")
    box(page, "Language").select_option("de")
    expect(rows(page)).to_have_count(1)
    box(page, "Language").select_option("")
    page.get_by_label("Chat begins with").fill("chat-0")
    expect(rows(page)).to_have_count(1)
    page.get_by_label("Chat begins with").fill("nobody")
    expect(page.locator("#rows-said")).to_have_text("Nothing like this has come yet.")


def test_it_stands_still_while_somebody_reads(open_page: OpenPage, followed: Followed) -> None:
    """Under the pointer, scrolled, selected, focused, or by the key; then all that came is there at once."""
    page = open_page(f"{followed.url}/live")
    expect(rows(page)).to_have_count(3)
    followed.take([came(i) for i in range(10, 50)], now_ms())
    expect(rows(page)).to_have_count(43)
    paused = page.locator("#paused")
    for i, begin in enumerate(
        (
            lambda: rows(page).nth(3).hover(),
            lambda: page.evaluate("document.getElementById('scroll').scrollTop = 200"),
            lambda: page.evaluate("document.getSelection().selectAllChildren(document.querySelector('#rows tr'))"),
            lambda: page.get_by_role("region", name="Verdicts, the newest first").focus(),
            lambda: page.keyboard.press("p"),
        )
    ):
        before = rows(page).count()
        page.mouse.move(0, 0)
        begin()
        followed.take([came(100 + 2 * i), came(101 + 2 * i)], now_ms())
        expect(paused).to_have_text("paused, 2 newer")
        assert rows(page).count() == before
        page.keyboard.press("p")
        expect(paused).to_have_text("")
        expect(rows(page)).to_have_count(before + 2)
        page.evaluate("document.activeElement.blur()")
    expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "false")


def test_it_goes_on_when_the_pointer_leaves(open_page: OpenPage, followed: Followed) -> None:
    """Nobody has to press anything."""
    page = open_page(f"{followed.url}/live")
    expect(rows(page)).to_have_count(3)
    rows(page).nth(1).hover()
    followed.take([came(3)], now_ms())
    expect(page.locator("#paused")).to_have_text("paused, 1 newer")
    page.mouse.move(0, 0)
    expect(rows(page)).to_have_count(4)


def test_five_thousand_rows_at_once_are_two_hundred_in_the_page(open_page: OpenPage, followed: Followed) -> None:
    """The page answers to keys meanwhile, and again and again."""
    page = open_page("about:blank")
    shown = came(0)
    followed.take([shown], now_ms())
    document = followed.live.board.newest("", _ALL).rows[0].document()
    sent = iter(range(10**9))

    def answer(route: Route) -> None:
        start = next(sent) * 5_000
        many = [document | {"place": f"0-{start + i}", "chat_id": f"chat-{start + i}"} for i in range(5_000, 0, -1)]
        found = {"rows": many, "n_left_out": 4_000, "n_lost": 12, "cursor": "0a.1"}
        route.fulfill(body=orjson.dumps(found), content_type="application/json")

    page.route("**/live/newest?*", answer)
    page.goto(f"{followed.url}/live")
    expect(rows(page).first).to_contain_text("chat-5000")
    expect(rows(page)).to_have_count(200)
    expect(rows(page).first).to_contain_text("chat-10000")
    expect(page.locator("#rows-said")).to_contain_text("4,012 since the last look")
    page.keyboard.press("p")
    expect(page.locator("#paused")).to_contain_text("paused")
    expect(page.locator("#paused")).to_contain_text(re.compile(r"paused, 1[05],000 newer"))
    assert rows(page).count() == 200
    page.keyboard.press("p")
    expect(page.locator("#paused")).to_have_text("")
    assert rows(page).count() == 200


def test_two_consoles_behind_a_balancer_show_each_verdict_once(
    open_page: OpenPage, followed: Followed, service: Service, tmp_path: Path
) -> None:
    """They answer in turn; each has read the same records under numbers of its own."""
    (tmp_path / "other").mkdir()
    other = Followed(service, tmp_path / "other")
    other.live.board.caught_up()
    both = (followed, other)
    other.take([came(i) for i in range(3)], now_ms())
    turns = cycle(both)

    def answer(route: Route) -> None:
        url = route.request.url.replace(followed.url, next(turns).url)
        route.fulfill(response=page.context.request.get(url))

    page = open_page("about:blank")
    page.route("**/live/newest?*", answer)
    page.goto(f"{followed.url}/live")
    expect(rows(page)).to_have_count(3)
    for offset in range(3, 6):
        for one in both:
            one.take([came(offset)], now_ms())
        expect(rows(page)).to_have_count(offset + 1)
    with page.expect_response("**/live/newest?*"):
        pass
    with page.expect_response("**/live/newest?*") as last:
        pass
    assert last.value.json()["rows"] == []
    expect(rows(page)).to_have_count(6)
    other.close()


def test_ids_are_text(open_page: OpenPage, followed: Followed) -> None:
    """In the table and among the dead letters; the link finds the very chat."""
    followed.take([came(3, chat_id=HOSTILE)], now_ms())
    followed.take([rejected(0, HOSTILE)], now_ms())
    page = open_page(f"{followed.url}/live")
    link = rows(page).first.get_by_role("link")
    expect(link).to_have_text(HOSTILE)
    expect(page.locator("#letters")).to_contain_text(HOSTILE)
    expect(page.locator("#letters")).to_contain_text("expected a list")
    assert page.evaluate("window.wasRun") is None
    assert page.locator("main img").count() == 0
    link.click()
    expect(page.get_by_label("Chat id")).to_have_value(HOSTILE)


def test_figures_of_the_hour(open_page: OpenPage, followed: Followed) -> None:
    """Counts, plots that a screen reader reads out, lag by partition, workers."""
    followed.lags({0: (10, 10), 1: (5, 355), 2: (None, 3)}, now_ms())
    before = came(5, decision=Decision.BLOCK)
    before.timestamp_ms = now_ms() - 60_000
    followed.take([before], now_ms())
    page = open_page(f"{followed.url}/live")
    tiles = page.locator("#tiles")
    expect(tiles).to_contain_text("Verdicts, last hour4")
    expect(tiles).to_contain_text("Blocked25.0 %")
    expect(tiles).to_contain_text("Lag of the workers350")
    plot = page.get_by_role("img", name=re.compile(r"allow: \d+ in the last minute.*block: 1 in the last minute"))
    expect(plot).to_be_visible()
    expect(page.locator("#lag")).to_contain_text("350 records of chat-events without an outcome.")
    page.get_by_text("1 worker").click()
    expect(page.locator("#lag")).to_contain_text("verdictstream-worker-0 10.0.0.7, partitions 0, 1, 2")


def test_a_banner_says_what_is_away_and_since_when(open_page: OpenPage, followed: Followed) -> None:
    """What was read stays; the banner goes when all is back."""
    followed.away |= {"kafka": "no broker answers", "database": "locked"}
    followed.look()
    page = open_page(f"{followed.url}/live")
    banner = page.locator("#states")
    expect(banner).to_contain_text(re.compile(r"Kafka has been away since \d\d:\d\d:\d\d\."))
    expect(banner).to_contain_text("The database has been away since")
    expect(rows(page)).to_have_count(3)
    followed.away |= {"intake": "the topic verdict-reviews is not there"}
    followed.look()
    expect(banner).not_to_contain_text("The reader of the queue")
    followed.away = {"intake": "the topic verdict-reviews is not there"}
    followed.look()
    expect(banner).to_contain_text("The reader of the queue has been away since")
    followed.away.clear()
    followed.look()
    expect(banner).to_be_hidden()


def test_a_viewer_sees_it_and_a_client_does_not(open_page: OpenPage, follow: Follow) -> None:
    """By the role of the key."""
    locked = follow(with_keys=True)
    page = open_page(f"{locked.url}/live")
    expect(page).to_have_url(f"{locked.url}/login")
    page.get_by_label("API key").fill(KEYS["viewer"])
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{locked.url}/live")
    expect(page.get_by_role("navigation").get_by_role("link", name="Review")).to_have_count(0)
    expect(page.locator("#rows-said")).to_have_text("Nothing like this has come yet.")


def test_it_is_used_by_keyboard_alone(open_page: OpenPage, followed: Followed) -> None:
    """From the address bar to a chat."""
    page = open_page(f"{followed.url}/live")
    expect(rows(page)).to_have_count(3)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('#rows') !== null"):
            break
    expect(page.locator("#paused")).to_contain_text("paused")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/chat\?id=chat-2$"))


@pytest.mark.parametrize("width", [320, 390])
def test_it_fits_a_phone(open_page: OpenPage, followed: Followed, width: int) -> None:
    """Nothing stands beyond the edge, with rows, long ids, plots, lag and dead letters."""
    followed.take([came(3, chat_id="x" * 256), rejected(0, "y" * 256)], now_ms())
    followed.lags(dict.fromkeys(range(8), (10**12, 10**12 + 7)), now_ms())
    page = open_page(f"{followed.url}/live", viewport={"width": width, "height": 800}, color_scheme="dark")
    expect(rows(page)).to_have_count(4)
    expect(page.locator("#lag table")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_every_control_has_a_name(open_page: OpenPage, followed: Followed) -> None:
    """What a screen reader says of it."""
    followed.lags({0: (1, 3)}, now_ms())
    page = open_page(f"{followed.url}/live")
    expect(page.locator("#lag table")).to_be_visible()
    nameless = re.compile(r'^- (button|combobox|textbox|searchbox|checkbox|link|meter|img|region)(?! ")')
    tree = [line.strip() for line in page.locator("body").aria_snapshot().splitlines()]
    assert [line for line in tree if nameless.match(line)] == []
