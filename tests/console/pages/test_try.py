"""The page itself: examples, verdicts, bundles, what was read, what moved it, keyboard, phone, dark."""

import re
from pathlib import Path

import orjson
import pytest
from playwright.sync_api import expect

from console.pages.try_it.examples import examples_of
from console.settings.console import PagesSettings
from schemas import CHAT_13, shipped_taxonomy
from tests.console.conftest import StartConsole
from tests.console.pages.browser import judge, paste, write
from tests.console.pages.conftest import OpenPage
from tests.console.server import RunningConsole
from tests.tiny_bundle import tiny_bundle

TEXT = "which phone should i buy for under 300 euros"
UNSURE = "I lost the match and I was rubbish, but what a crowd"


def test_a_text_gets_the_figures_of_the_api(open_page: OpenPage, try_console: RunningConsole) -> None:
    """One bar for each category, and what the API says of the same text."""
    page = open_page(f"{try_console.url}/try")
    write(page, UNSURE)
    judge(page)
    verdict = try_console.post("/v1/classify", {"text": UNSURE}).json
    expect(page.locator(".decision strong")).to_have_text(verdict["decision"])
    expect(page.locator(".category code")).to_have_text(verdict["category"]["code"])
    expect(page.locator(".bars li")).to_have_count(len(CHAT_13.codes))
    expect(page.locator(".bars .tag")).to_have_count(len(CHAT_13.banned))
    largest = max(verdict["probabilities"].values())
    expect(page.locator(".bars li").first).to_contain_text(f"{largest:.3f}")
    expect(page.locator(".figures")).to_contain_text(f"{verdict['banned_probability']:.3f}")
    expect(page.locator(".figures")).to_contain_text(f"{verdict['banned_to_safe_risk']:.3f}")
    expect(page.locator(".figures")).to_contain_text("first stage" if verdict["stage"] == "first_stage" else "transf")


def test_every_example_is_judged_as_what_it_stands_for(open_page: OpenPage, try_console: RunningConsole) -> None:
    """A visitor's first click must not show an error of the model."""
    page = open_page(f"{try_console.url}/try")
    buttons = page.get_by_role("group", name="Examples").get_by_role("button")
    expect(buttons).to_have_count(len(CHAT_13.codes))
    for position, code in enumerate(CHAT_13.codes):
        buttons.nth(position).click()
        expect(page.locator(".category code")).to_have_text(code)


@pytest.mark.parametrize("name", ["chat-13", "community", "toxicity"])
def test_every_shipped_taxonomy_has_an_example_for_each_category_out_of_our_own_data(name: str) -> None:
    """Its texts are in data/, so that nothing here is somebody else's."""
    folder = {"chat-13": "sample"}.get(name, name)
    own = "".join(path.read_text("utf-8") for path in (Path("data") / folder).iterdir() if path.suffix != ".md")
    found = examples_of(shipped_taxonomy(name))
    assert [example.category for example in found] == list(shipped_taxonomy(name).codes)
    for text in (message.content for example in found for message in example.messages):
        assert text in own or orjson.dumps(text).decode()[1:-1] in own or text.replace('"', '""') in own


def test_each_bundle_can_be_chosen(open_page: OpenPage, start_console: StartConsole, tmp_path: Path) -> None:
    """Loaded when it is chosen; the text that stands there is judged again."""
    folders = [tiny_bundle(tmp_path / name, shipped_taxonomy(name)) for name in ("toxicity", "community")]
    console = start_console(pages=PagesSettings(bundles=",".join(map(str, folders)), max_bundles=2))
    page = open_page(f"{console.url}/try")
    write(page, "bark, wag the tail and fetch the ball")
    judge(page)
    choice = page.get_by_label("Bundle")
    assert choice.locator("option").all_inner_texts() == [
        "served by this port",
        "toxicity",
        "community",
        "cat-and-dog",
    ]
    for name, n_categories in (("toxicity", 3), ("community", 3), ("cat-and-dog", 2), ("served", 13)):
        choice.select_option(name)
        expect(page.locator(".bars li")).to_have_count(n_categories)
        expect(page.get_by_role("group", name="Examples").get_by_role("button")).to_have_count(n_categories)
        if name == "cat-and-dog":
            expect(page.locator(".category")).to_contain_text("Dog")
            expect(page.locator("#model")).to_contain_text("not calibrated")
            expect(page.locator(".figures")).to_contain_text("Riskunknown")


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        (
            {"model": "m", "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": TEXT}]},
            "Pasted 2 messages.",
        ),
        (
            [{"role": "user", "content": [{"type": "text", "text": TEXT}, {"type": "image_url", "image_url": {}}]}],
            "Pasted 1 message; 1 part without text left out.",
        ),
        (f"User: hi\nAssistant: hello,\nhow can I help?\nUser: {TEXT}", "Pasted 3 messages."),
    ],
)
def test_a_conversation_is_pasted_whole(
    open_page: OpenPage, try_console: RunningConsole, pasted: object, said: str
) -> None:
    """As a chat-completions request, its messages alone, or a transcript."""
    page = open_page(f"{try_console.url}/try")
    paste(page, pasted if isinstance(pasted, str) else orjson.dumps(pasted).decode())
    expect(page.locator("#said")).to_have_text(said)
    last = page.get_by_label("Text of the message").last
    expect(last).to_have_value(TEXT)
    judge(page)
    expect(page.locator(".category code")).to_have_text("H")


def test_what_was_not_read_is_said(open_page: OpenPage, try_console: RunningConsole) -> None:
    """The window, the pieces, and how much of a long message neither has."""
    page = open_page(f"{try_console.url}/try")
    write(page, "an ordinary sentence about the weather of today. " * 600)
    judge(page)
    reading = page.locator("#reading")
    expect(reading).to_contain_text("9,400 characters were not read.")
    expect(reading.locator(".read li")).to_have_attribute("data-read", "part")
    expect(reading.locator("pre")).to_contain_text("user: an ordinary sentence")
    expect(reading.get_by_text("each judged for itself")).to_be_visible()
    expect(page.locator("#verdict .note")).to_contain_text("the users wrote more than is read")


def test_what_moved_it_is_found_on_demand(open_page: OpenPage, try_console: RunningConsole) -> None:
    """Messages first, then the words of the one that moved most, then of the one that is clicked."""
    page = open_page(f"{try_console.url}/try")
    write(page, "hello there")
    page.get_by_role("button", name="Add message").click()
    write(page, "Hi! What can I do?", 1)
    page.get_by_role("button", name="Add message").click()
    write(page, "write a poem about the sea", 2)
    expect(page.get_by_role("button", name="Find out")).to_be_disabled()
    judge(page)
    page.get_by_role("button", name="Find out").click()
    influence = page.locator("#influence")
    expect(influence.locator(".words")).to_have_text("write a poem about the sea")
    expect(influence.locator(".named li").first).to_contain_text("poem")
    expect(influence.locator(".moved button[aria-pressed=true]")).to_contain_text("poem")
    influence.locator(".moved button").first.click()
    expect(influence.locator(".words")).to_have_text("hello there")
    page.get_by_label("banned probability").check()
    expect(influence).to_contain_text("the banned probability changes")


def test_a_bundle_that_is_refused_is_said_and_the_page_goes_on(
    open_page: OpenPage, start_console: StartConsole, tmp_path: Path
) -> None:
    """What stands there is not taken for its verdict."""
    page = open_page(f"{start_console(pages=PagesSettings(bundles=str(tmp_path / 'gone'))).url}/try")
    page.get_by_label("Bundle").select_option("gone")
    expect(page.locator("#model")).to_contain_text("refused")
    write(page, TEXT)
    page.get_by_role("button", name="Judge").click()
    expect(page.locator("#said")).to_contain_text("not loaded")
    page.get_by_label("Bundle").select_option("served")
    expect(page.locator(".category code")).to_have_text("H")


def test_it_is_used_by_keyboard_alone(open_page: OpenPage, try_console: RunningConsole) -> None:
    """From the address bar to a verdict, and to a second message."""
    page = open_page(f"{try_console.url}/try")
    expect(page.locator("#model")).to_contain_text("chat-13")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "TEXTAREA":
            break
    page.keyboard.type(TEXT)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".category code")).to_have_text("H")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Add message")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Text of the message").nth(1)).to_be_focused()


def test_every_control_has_a_name(open_page: OpenPage, try_console: RunningConsole) -> None:
    """What a screen reader says of it."""
    page = open_page(f"{try_console.url}/try")
    write(page, TEXT)
    judge(page)
    page.get_by_role("button", name="Find out").click()
    expect(page.locator(".words")).to_be_visible()
    nameless = re.compile(r'^- (button|combobox|textbox|checkbox|radio|link|progressbar|region)(?! ")')
    tree = [line.strip() for line in page.locator("body").aria_snapshot().splitlines()]
    assert [line for line in tree if nameless.match(line)] == []


@pytest.mark.parametrize("width", [320, 390])
def test_it_fits_a_phone(open_page: OpenPage, try_console: RunningConsole, width: int) -> None:
    """Nothing stands beyond the edge, before a verdict and after it."""
    page = open_page(f"{try_console.url}/try", viewport={"width": width, "height": 800})
    page.get_by_role("group", name="Examples").get_by_role("button").nth(3).click()
    expect(page.locator(".decision")).to_be_visible()
    page.get_by_role("button", name="Find out").click()
    expect(page.locator(".words")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_it_is_dark_where_the_system_is(open_page: OpenPage, try_console: RunningConsole) -> None:
    """Both grounds and texts change sides."""
    looks = "(() => { const is = getComputedStyle(document.body); return [is.backgroundColor, is.color]; })()"
    brightness = {}
    for scheme in ("light", "dark"):
        colours = open_page(f"{try_console.url}/try", color_scheme=scheme).evaluate(looks)
        brightness[scheme] = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours]
    ground, text = brightness["light"]
    assert ground > 600
    assert text < 150
    ground, text = brightness["dark"]
    assert ground < 150
    assert text > 600
