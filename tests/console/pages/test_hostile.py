"""Text that would be something else: shown as text, never executed."""

import pytest
from playwright.sync_api import Page, expect

from console.pages.frame import CONTENT_POLICY
from tests.console.pages.browser import judge, paste, write
from tests.console.pages.conftest import OpenPage
from tests.console.server import RunningConsole

SCRIPTS = [
    "<script>window.wasRun = 1</script>",
    "<img src=x onerror='window.wasRun = 1'>",
    '</textarea></pre><svg onload="window.wasRun = 1">',
    "{{ 7 * 7 }} ${7 * 7} javascript:window.wasRun=1",
]


def _is_untouched(page: Page) -> None:
    assert page.evaluate("window.wasRun") is None
    assert page.locator("main script, main img, main svg").count() == 0


@pytest.mark.parametrize("text", SCRIPTS)
def test_markup_is_text_everywhere(open_page: OpenPage, try_console: RunningConsole, text: str) -> None:
    """In the message, what was read, what moved it and the table."""
    page = open_page(f"{try_console.url}/try")
    write(page, text)
    judge(page)
    expect(page.locator("#reading pre")).to_have_text(f"user: {text}")
    page.get_by_role("button", name="Find out").click()
    expect(page.locator(".words")).to_have_text(text)
    cell = text.replace('"', '""')
    file = {"name": "<b>.csv", "mimeType": "text/csv", "buffer": f'text\n"{cell}"\n'.encode()}
    page.set_input_files("#file", file)
    page.get_by_role("button", name="Classify").click()
    expect(page.locator("#done")).to_have_text("1 row classified")
    expect(page.locator("#preview td").first).to_have_text(text)
    _is_untouched(page)


def test_text_that_runs_from_right_to_left_stays_in_its_place(open_page: OpenPage, try_console: RunningConsole) -> None:
    """Arabic is read from its own side, and an override turns nothing round but itself."""
    page = open_page(f"{try_console.url}/try")
    write(page, "مرحبا، كيف حالك اليوم؟ \u202eevil\u202c")
    judge(page)
    direction = "(field) => getComputedStyle(field).direction"
    assert page.get_by_label("Text of the message").evaluate(direction) == "rtl"
    assert page.locator("#reading-title").evaluate(direction) == "ltr"
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_two_megabytes_are_judged_and_more_is_refused_in_words(
    open_page: OpenPage, try_console: RunningConsole
) -> None:
    """The page stays usable with both."""
    page = open_page(f"{try_console.url}/try")
    remove = page.get_by_role("button", name="Remove this message")
    paste(page, "a" * 40 + " word" * 390_000)
    expect(page.locator("#turns .hint")).to_contain_text("Of 1,950,040 characters")
    judge(page)
    expect(page.locator("#reading .note")).to_contain_text("1,930,040 characters were not read")
    remove.click()
    paste(page, "word " * 500_000)
    page.get_by_role("button", name="Judge").click()
    expect(page.locator("#verdict .refused")).to_contain_text("expected at most")
    remove.click()
    write(page, "which phone should i buy")
    judge(page)


def test_a_lone_surrogate_and_control_characters_are_judged(open_page: OpenPage, try_console: RunningConsole) -> None:
    """What JSON in UTF-8 cannot hold is replaced, not refused."""
    page = open_page(f"{try_console.url}/try")
    page.get_by_label("Text of the message").evaluate("(field) => { field.value = 'a \\ud800 \\u0000 \\ufeff word'; }")
    judge(page)
    paste(page, '{"messages": [{"role": "user", "content": "ok"}], "x": ')
    _is_untouched(page)


def test_the_policy_forbids_what_the_page_never_does(try_console: RunningConsole) -> None:
    """No inline script, no eval, no markup from text, nothing from elsewhere, and no copy in a cache."""
    for path in ("/try", "/"):
        answer = try_console.ask("GET", path)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-frame-options"] == "DENY"
    answer = try_console.ask("GET", "/try")
    assert answer.headers["content-security-policy"] == CONTENT_POLICY
    assert "script-src 'self'" in CONTENT_POLICY
    assert "unsafe" not in CONTENT_POLICY
    assert "trusted-types 'none'" in CONTENT_POLICY
    assert b"<script>" not in answer.raw
    assert b"style=" not in answer.raw
    assert b"//" not in answer.raw.replace(b"<!doctype", b"")
    script = try_console.ask("GET", "/static/try/try.js")
    assert script.headers["cache-control"] == "no-store"
    assert "javascript" in script.headers["content-type"]
    for path in ("/static/../frame.py", "/static/%2e%2e/frame.py", "/static/try/"):
        assert try_console.ask("GET", path).status == 404


def test_a_foreign_page_may_not_ask(try_console: RunningConsole) -> None:
    """Neither by its Origin nor by a name that it made resolve to the port."""
    question = {"messages": [{"role": "user", "content": "hello"}]}
    assert try_console.post("/try/judge", question).status == 200
    assert try_console.post("/try/judge", question, origin="https://evil.example").status == 403
    assert try_console.post("/try/judge", question, host="evil.example").status == 403
    assert try_console.ask("GET", "/try", headers={"host": "evil.example"}).status == 403
    assert try_console.ask("POST", "/try/judge", b"{}", {"content-type": "text/plain"}).status == 415
