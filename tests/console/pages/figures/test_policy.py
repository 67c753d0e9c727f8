"""The page Policy in a real Chromium: what a person changes, and what it says would change."""

import re
from pathlib import Path
from threading import Event

import pytest
from playwright.sync_api import Page, expect

from console.pipeline.errors import PipelineAway
from console.pipeline.reading import Reading, Readings
from console.pipeline.yesterday import Collector, PastVerdicts
from console.port.keys import Keys
from console.service import Service
from model import Bundle, load_policy
from model.policies.rules import policies_over
from schemas import DEFAULT_POLICY, DecidedBy, Decision, PolicyDecision
from tests.console.pages.browser import WAIT_MS
from tests.console.pages.conftest import OpenPage
from tests.console.pages.figures.conftest import StartFigures
from tests.console.pages.figures.verdicts import past_verdicts, record_of, verdict_of
from tests.console.port.test_keys import write

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "color_scheme": "dark"}


def settled(page: Page) -> None:
    """Wait until the newest question is answered."""
    page.locator("#answers[aria-busy=false] .big").wait_for(timeout=WAIT_MS)


def change(page: Page, label: str, value: str) -> None:
    """Write a value into a field, and wait for its answer."""
    with page.expect_response("**/policy/simulate"):
        page.get_by_label(label, exact=True).fill(value)
    settled(page)


def test_a_stricter_rate_shows_what_it_would_change(open_page: OpenPage, start_figures: StartFigures) -> None:
    """Counts, chats that link to their page, the curve in words, and the promise."""
    page = open_page(f"{start_figures().url}/policy")
    settled(page)
    expect(page.locator(".big")).to_have_text("None of 400 chats would be decided differently.")
    expect(page.locator("#version")).to_have_value("3")
    change(page, "Banned chats that may pass", "0.5")
    expect(page.locator(".big")).to_contain_text("of 400 chats would be decided differently")
    row = page.locator("#change tbody tr").first
    expect(row.locator("td").first).to_contain_text("allow → review")
    assert int(row.locator("td").nth(1).inner_text()) > 12
    expect(row.locator(".chats a")).to_have_count(12)
    href = row.locator(".chats a").first.get_attribute("href") or ""
    assert "/chat?id=chat-" in href
    expect(page.locator("svg.plot")).to_have_attribute("aria-label", re.compile("default 3 allows .* 0.50 %"))
    expect(page.locator("#promise")).to_contain_text("With 372 banned calibration chats")
    change(page, "Banned chats that may pass", "0.2")
    expect(page.locator("#promise .note")).to_contain_text("that needs 499 banned calibration chats")


def test_a_category_is_banned_and_a_file_is_downloaded_by_keyboard_alone(
    open_page: OpenPage, start_figures: StartFigures, tmp_path: Path, bundle: Bundle
) -> None:
    """The file is what the page showed, and the worker's own reader takes it."""
    page = open_page(f"{start_figures().url}/policy")
    settled(page)
    page.get_by_label("Purchasable products: no").focus()
    with page.expect_response("**/policy/simulate"):
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
    settled(page)
    expect(page.get_by_label("Purchasable products: should")).to_be_checked()
    page.get_by_label("Banned chats that may pass, slider").focus()
    with page.expect_response("**/policy/simulate"):
        page.keyboard.press("ArrowRight")
    settled(page)
    page.get_by_role("button", name="Download the file").focus()
    with page.expect_download() as downloading:
        page.keyboard.press("Enter")
    expect(page.locator("#file-said .note.good")).to_contain_text("decides the same on 400 of 400 chats")
    saved = tmp_path / downloading.value.suggested_filename
    assert saved.name == "default-3.toml"
    downloading.value.save_as(saved)
    policy = load_policy(saved, bundle)
    assert policy.should == {"H"}
    assert policy.max_banned_to_safe_rate > 0.05
    assert policy.version == "3"


def test_what_a_person_writes_wrong_is_said(open_page: OpenPage, start_figures: StartFigures) -> None:
    """And the version that workers have already is no version for another policy."""
    page = open_page(f"{start_figures().url}/policy")
    settled(page)
    page.get_by_label("Version").fill("two")
    expect(page.locator("#refused")).to_contain_text("version")
    change(page, "Version", "2")
    expect(page.locator("#refused")).to_be_hidden()
    change(page, "Banned chats that may pass", "1")
    expect(page.locator("#refused")).to_contain_text("raise the version of default 2")
    page.get_by_role("button", name="Back to where it started").click()
    expect(page.get_by_label("Version")).to_have_value("3")


def test_verdicts_of_another_bundle_are_told_apart(
    open_page: OpenPage, start_figures: StartFigures, bundle: Bundle
) -> None:
    """They are no ground for a policy over this one; what people decided is left out, too."""
    policies = policies_over(bundle, [DEFAULT_POLICY])
    other = bundle.ref.model_copy(update={"digest": f"sha256:{'a' * 64}"})
    said = PolicyDecision(version="2", decision=Decision.BLOCK, decided_by=DecidedBy.OVERRIDE)
    person = verdict_of(bundle, policies, 5, decided_by=DecidedBy.OVERRIDE, decisions={"default": said})
    records = [
        *past_verdicts(bundle, 5),
        record_of(person, 5),
        record_of(verdict_of(bundle, policies, 6, model=other), 6),
        record_of(verdict_of(bundle, policies, 7, replay_id="r1"), 7),
    ]
    page = open_page(f"{start_figures(records).url}/policy", **PHONE)
    settled(page)
    expect(page.locator("#notes .bad")).to_contain_text(
        f"1 verdict is of another bundle and left out: sha256:{'a' * 12}"
    )
    expect(page.locator("#reading")).to_contain_text("Left out: 1 replayed.")
    expect(page.locator(".big")).to_contain_text("None of 5 chats")
    expect(page.locator("#change")).to_contain_text("1 (a person decided)")
    assert page.evaluate("document.querySelector('main').scrollWidth <= window.innerWidth")


def test_progress_is_shown_and_a_stopped_reading_says_so(
    open_page: OpenPage, start_figures: StartFigures, bundle: Bundle
) -> None:
    """The policy's promise needs no verdict and is there before."""
    goes_on = Event()

    def read(reading: Reading, _ends: Event) -> PastVerdicts:
        reading.share, reading.n_records = 0.25, 1_234
        goes_on.wait(60)
        collector = Collector(bundle, 100)
        for record in past_verdicts(bundle, 200):
            collector.add(record)
        collector.found.stopped_at = 0.5
        return collector.found

    page = open_page(f"{start_figures(readings=Readings(read)).url}/policy")
    expect(page.locator("#reading")).to_have_text("Reading verdicts: 25 %, 1,234 records.")
    expect(page.locator("#promise")).to_contain_text("Clopper-Pearson")
    goes_on.set()
    settled(page)
    expect(page.locator("#notes")).to_contain_text("Stopped after three minutes at 50 % of the records")
    expect(page.locator("#notes")).to_contain_text("a random 50 % of them is counted")


def test_kafka_away_is_said_and_asked_again(open_page: OpenPage, start_figures: StartFigures, bundle: Bundle) -> None:
    """Nothing is lost: the policy stays in the form."""
    answers = [PipelineAway("brokers do not answer")]

    def read(_reading: Reading, _ends: Event) -> PastVerdicts:
        if answers:
            raise answers.pop()
        collector = Collector(bundle)
        for record in past_verdicts(bundle, 3):
            collector.add(record)
        return collector.found

    page = open_page(f"{start_figures(readings=Readings(read)).url}/policy")
    expect(page.locator("#notes .bad")).to_contain_text("could not be read: brokers do not answer")
    page.get_by_label("Name").fill("mine")
    page.get_by_role("button", name="Read again").click()
    settled(page)
    expect(page.locator(".big")).to_contain_text("None of 3 chats")
    expect(page.get_by_label("Name")).to_have_value("mine")


def test_a_hostile_chat_id_is_text(open_page: OpenPage, start_figures: StartFigures, bundle: Bundle) -> None:
    """Ids come from outside: markup in them is shown, and nothing of it runs."""
    policies = policies_over(bundle, [DEFAULT_POLICY])
    hostile = '<img src=x onerror="document.title=1">&\u202e/../?a=b#'
    records = [record_of(verdict_of(bundle, policies, row, chat_id=f"{hostile}{row}"), row) for row in range(200)]
    page = open_page(f"{start_figures(records).url}/policy")
    settled(page)
    change(page, "Banned chats that may pass", "0.5")
    link = page.locator(".chats a").first
    assert (link.text_content() or "").startswith(hostile)
    assert "%3Cimg" in (link.get_attribute("href") or "")
    expect(page).to_have_title("Policy · verdictstream")
    assert page.locator("#change img").count() == 0


@pytest.mark.parametrize(("role", "status"), [("client", 403), ("viewer", 200), ("reviewer", 200), ("admin", 200)])
def test_it_is_for_viewers(start_figures: StartFigures, tmp_path: Path, role: str, status: int) -> None:
    """A program's key sees no verdicts."""
    write(tmp_path / "keys.toml", ("somebody", "vs-the-key"), extra=f'role = "{role}"\n')
    console = start_figures(keys=Keys(tmp_path / "keys.toml"))
    bearer = {"authorization": "Bearer vs-the-key"}
    assert console.ask("GET", "/policy", headers=bearer).status == status
    assert console.ask("GET", "/policy/start", headers=bearer).status == status
    asked = {"policy": DEFAULT_POLICY.model_dump(mode="json"), "against": DEFAULT_POLICY.model_dump(mode="json")}
    for path in ("/policy/verdicts", "/policy/simulate", "/policy/file"):
        assert console.post(path, {**asked, "period": "day"}, **bearer).status == status
        assert console.post(path, {**asked, "period": "day"}).status == 401


def test_bad_requests_are_refused(start_figures: StartFigures, operating_service: Service) -> None:
    """With what was expected."""
    console = start_figures()
    policy = DEFAULT_POLICY.model_dump(mode="json")
    assert console.post("/policy/verdicts", {"period": "year"}).error["code"] == "bad_period"
    for wrong in (None, {**policy, "banned": ["Z"]}, {**policy, "taxonomy": "toxicity"}, {**policy, "extra": 1}):
        answer = console.post("/policy/simulate", {"policy": wrong, "against": policy, "period": "day"})
        assert (answer.status, answer.error["code"]) == (422, "policy_refused")
    assert operating_service.bundle.taxonomy.name == "chat-13"
